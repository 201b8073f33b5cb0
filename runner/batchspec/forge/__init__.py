"""The code host: comments on pull requests, saved plans of CI jobs, branches that hold results."""
