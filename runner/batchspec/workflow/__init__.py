"""Workflow: the effects in their order. Every step yields events and prints nothing."""
