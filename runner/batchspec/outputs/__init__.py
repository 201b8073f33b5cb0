"""Outputs: answers as rows, their writers, manifests, and checks."""
