"""Redis and Celery: wake-up messages for jobs, batches of predictions, and the presence of replicas."""
