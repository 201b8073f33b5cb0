"""Reports: pure functions from values to text, JSON, Markdown and HTML."""
