"""A replica: claims jobs, runs each attempt in a child process, and answers batches of predictions."""
