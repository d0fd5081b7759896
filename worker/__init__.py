"""The life of one replica: it claims jobs, runs each in a process of its own, and answers batches of predictions."""
