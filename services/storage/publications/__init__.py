"""One module for each job kind, which registers what storage does when a job of that kind ends."""
