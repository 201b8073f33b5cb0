"""The commands, one module each: arguments in, a result out. Loaded by name, when used."""
