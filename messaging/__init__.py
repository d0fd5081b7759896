"""Redis and Celery: wake-up messages for jobs, batches of predictions, and who is alive."""
