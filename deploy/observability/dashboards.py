"""The Grafana dashboards: `python -m deploy.observability.dashboards`, or `make docs`, writes their JSON.

`tests/unit/deploy/test_dashboards.py` fails if a file is stale, or a query names a metric or label that does not exist.
"""

import json
from pathlib import Path

from deploy.observability.panels import dashboard, increase, latest, lines, mean, number, present, quantiles, rate

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
REQUESTS = "tidepool_http_requests_total"
BUSY = "tidepool_replica_busy_seconds_total"
FREE = "tidepool_disk_free_bytes"
ALL_REQUESTS = rate(REQUESTS)[0]
FAILED = rate(REQUESTS, of='status=~"5.."')[0]
BY_CLASS = f'label_replace(rate({REQUESTS}[$__rate_interval]), "class", "${{1}}xx", "status", "(.)..")'
SHORT = 'route!~"/v1/jobs/.job_id.*|/live"'
MODEL = 'model=~"$model"'
OURS = 'job="tidepool"'
STARTED = f"process_start_time_seconds{{{OURS}}}"
WORKERS = 'role=~"preprocess|trainer|inference"'
TRAINING = 'kind="train"'
TRAINER = 'pool="trainer"'


OVERVIEW = dashboard(
    "overview",
    number("Requests per second", "reqps", ALL_REQUESTS),
    number("Errors (5xx)", "percentunit", f"({FAILED} or vector(0)) / {ALL_REQUESTS}", warn=0.001),
    number("Predictions, p99", "s", quantiles("tidepool_prediction_seconds")[1][0], warn=0.5),
    number("Jobs that wait", "short", "sum(tidepool_queued_jobs)"),
    number("Oldest waiting job", "s", "max(tidepool_oldest_queued_seconds)", warn=900),
    number("Alerts", "short", 'count(ALERTS{alertstate="firing"}) or vector(0)', warn=1),
    lines("Requests by status", "reqps", (f"sum by (class) ({BY_CLASS})", "{{class}}"), stack=True),
    lines(
        "Time of requests",
        "s",
        *quantiles("tidepool_http_request_seconds", of=SHORT, shares=(0.5, 0.95, 0.99)),
        description="Without requests that follow a job or the console's events.",
    ),
    lines(
        "Errors by code",
        "reqps",
        present(rate("tidepool_http_problems_total", "code")),
        description="Refusals are overloaded, quota_exceeded and too_many_requests.",
    ),
    lines(
        "Burn of the error budget",
        "short",
        ("tidepool:errors:ratio_rate1h / 0.001", "1 h"),
        ("tidepool:errors:ratio_rate6h / 0.001", "6 h"),
        description="At 1, the budget lasts 30 days. 14.4 for one hour and 6 for six hours raise an alert.",
    ),
    lines("Processes that answer", "short", latest("up", "role", OURS, how="sum")),
    lines(
        "CPU",
        "short",
        rate("process_cpu_seconds_total", "role", OURS),
        stack=True,
        description="Cores, without attempts at jobs, which run in processes of their own.",
    ),
    lines("Memory", "bytes", latest("process_resident_memory_bytes", "role", OURS, how="sum"), stack=True),
    lines(
        "Memory of Redis",
        "bytes",
        latest("tidepool_redis_used_bytes", legend="used"),
        latest("tidepool_redis_limit_bytes", legend="limit"),
    ),
    lines(
        "Free disk space",
        "percentunit",
        (f"min by (role, folder) ({FREE} / tidepool_disk_size_bytes)", "{{role}} {{folder}}"),
        at_most=1,
    ),
    lines("Database transactions", "s", *quantiles("tidepool_database_transaction_seconds", "mode")),
    lines("Requests to the object store", "s", *quantiles("tidepool_object_store_request_seconds", "method")),
    lines(
        "Failures of servers",
        "cps",
        rate("tidepool_database_failures_total", legend="database"),
        rate("tidepool_object_store_failures_total", legend="object store"),
        rate("tidepool_sweep_delays_total", "code", legend="in the storage process"),
    ),
)


SERVING = dashboard(
    "serving",
    lines("Predictions", "reqps", rate("tidepool_prediction_seconds_count", "model, version", MODEL), stack=True),
    lines("Time of predictions", "s", *quantiles("tidepool_prediction_seconds", "model", MODEL)),
    lines("Refused predictions", "reqps", rate("tidepool_predictions_refused_total", "model, version", MODEL)),
    lines("Time in the queue", "s", *quantiles("tidepool_prediction_queue_seconds", "model", MODEL)),
    lines("Time of the model", "s", *quantiles("tidepool_prediction_inference_seconds", "model", MODEL)),
    lines("Predictions in a batch, mean", "short", mean("tidepool_prediction_batch_requests", "model", MODEL)),
    lines(
        "Predictions that wait or are in flight",
        "short",
        latest("tidepool_lane_waiting_requests", "model", MODEL, how="sum", legend="waiting"),
        latest("tidepool_lane_in_flight_requests", "model", MODEL, how="sum", legend="in flight"),
    ),
    lines(
        "Bytes held by gateways",
        "percentunit",
        ("max by (budget) (tidepool_held_bytes / tidepool_held_limit_bytes)", "{{budget}}"),
        description="Share of the limit; beyond it, requests are refused.",
    ),
    lines("Answers of replicas", "reqps", rate("tidepool_replica_answers_total", "outcome"), stack=True),
    lines(
        "Busy with predictions",
        "percentunit",
        rate(BUSY, "instance", 'pool="inference", work="online"'),
        description="Share of each replica's time.",
        at_most=1,
    ),
    lines("Models in memory", "short", latest("tidepool_inference_loaded_models", "provider", how="sum")),
    lines("Memory of models", "bytes", latest("tidepool_inference_cache_bytes", "instance")),
    lines(
        "Cache of models",
        "cps",
        rate("tidepool_inference_model_cache_hits_total", legend="hits"),
        rate("tidepool_inference_model_loads_total", "outcome"),
        rate("tidepool_inference_model_evictions_total", legend="evicted"),
    ),
    lines(
        "Runs stopped, versions quarantined",
        "short",
        increase("tidepool_inference_stopped_total", "model", MODEL, legend="stopped"),
        increase("tidepool_inference_quarantined_total", legend="quarantined"),
    ),
    lines("gRPC calls", "reqps", rate("tidepool_grpc_request_seconds_count", "method, code")),
    lines(
        "Time of requests by route, p99",
        "s",
        *quantiles("tidepool_http_request_seconds", "route", SHORT, (0.99,)),
        width=24,
    ),
    by_model=True,
)


JOBS = dashboard(
    "jobs",
    lines("Jobs and parts that wait", "short", latest("tidepool_queued_jobs", "pool")),
    lines("Jobs and parts that run", "short", latest("tidepool_running_jobs", "pool")),
    lines("Wait of the oldest job", "s", latest("tidepool_oldest_queued_seconds", "pool")),
    lines("Attempts started", "cps", present(rate("tidepool_attempts_total", "kind"))),
    lines("Attempts ended", "cps", present(rate("tidepool_attempts_ended_total", "kind, outcome"))),
    lines("Time of attempts, p95", "s", *quantiles("tidepool_attempt_seconds", "kind", shares=(0.95,))),
    lines(
        "Progress of attempts",
        "percentunit",
        latest("tidepool_attempt_progress_ratio", "kind, instance"),
        at_most=1,
    ),
    lines(
        "Repairs",
        "short",
        present(increase("tidepool_repairs_total", "repair")),
        present(increase("tidepool_jobs_taken_over_total", "kind", legend="taken over")),
        description="Jobs that the reconciler changed (requeued and failed ones had lost their worker, woken ones had "
        "waited for 30 s), and jobs of lost workers that another one took over.",
    ),
    lines("Wake-up messages", "cps", rate("tidepool_wakeups_sent_total", legend="sent")),
    lines("Images prepared", "cps", rate("tidepool_preprocess_images_total", "outcome")),
    lines("Images classified by jobs", "cps", rate("tidepool_inference_job_images_total", "kind")),
    lines("Jobs submitted", "reqps", rate(REQUESTS, "route, status", 'method="POST", route=~"/v1/(jobs|datasets).*"')),
    lines(
        "Submissions and streams",
        "short",
        latest("tidepool_submits_in_progress_requests", how="sum", legend="submissions"),
        latest("tidepool_streams_requests", how="sum", legend="streams"),
    ),
    lines("Delays of the storage process", "cps", rate("tidepool_sweep_delays_total", "code")),
    lines("Objects collected", "cps", rate("tidepool_collected_objects_total", legend="objects")),
)
POOLS = dashboard(
    "pools",
    lines(
        "Desired and ready replicas",
        "short",
        latest("tidepool_pool_desired_replicas", "pool", legend="desired"),
        latest("tidepool_pool_ready_replicas", "pool", legend="ready"),
    ),
    lines("Draining replicas", "short", latest("tidepool_pool_draining_replicas", "pool")),
    lines("Replicas by state", "short", present(latest("tidepool_pool_replicas", "pool, state"))),
    lines("Busy share of pools", "percentunit", latest("tidepool_pool_busy_ratio", "pool"), at_most=1),
    lines(
        "Busy replicas",
        "short",
        rate(BUSY, "pool, work"),
        stack=True,
        description="How many replicas worked on average, by what they did.",
    ),
    lines("Busy GPUs", "percentunit", latest("tidepool_replica_gpu_busy_ratio", "instance, gpu"), at_most=1),
    lines("Scaling decisions", "short", present(increase("tidepool_scaling_decisions_total", "pool, direction"))),
    lines("CPU of replicas", "short", rate("process_cpu_seconds_total", "role, instance", WORKERS)),
    lines("Memory of replicas", "bytes", latest("process_resident_memory_bytes", "role, instance", WORKERS)),
    lines(
        "Age of the last heartbeat",
        "s",
        latest("tidepool_heartbeat_age_seconds", "role, instance"),
        description="A replica that has heard none of its own for 45 s exits.",
    ),
    lines(
        "Starts in five minutes",
        "short",
        (f"sum by (role) (changes(process_start_time_seconds{{{OURS}}}[5m]))", "{{role}}"),
    ),
    lines("Versions", "short", latest("tidepool_build_info", "role, version", how="count")),
    lines("Connections to Redis", "short", latest("tidepool_redis_connections", legend="connections")),
)
TRAINING = dashboard(
    "training",
    lines("Images per second", "cps", rate("tidepool_training_images_total", "method")),
    lines(
        "Loss of the last epoch",
        "short",
        latest("tidepool_training_loss_nats", "instance, split"),
        description="Nats.",
    ),
    lines(
        "Accuracy of the last epoch",
        "percentunit",
        latest("tidepool_training_accuracy_ratio", "instance, split"),
        at_most=1,
    ),
    lines("Epochs per second", "cps", rate("tidepool_training_epoch_seconds_count", legend="epochs")),
    lines("Time of an epoch", "s", *quantiles("tidepool_training_epoch_seconds")),
    lines("Progress", "percentunit", latest("tidepool_attempt_progress_ratio", "instance", TRAINING), at_most=1),
    lines("Time to store a checkpoint", "s", *quantiles("tidepool_checkpoint_seconds", "kind")),
    lines("Checkpoints stored", "Bps", rate("tidepool_checkpoint_bytes_total", "kind")),
    lines("Attempts ended", "cps", present(rate("tidepool_attempts_ended_total", "outcome", TRAINING))),
    lines(
        "Trainings that wait and run",
        "short",
        latest("tidepool_queued_jobs", of=TRAINER, legend="waiting"),
        latest("tidepool_running_jobs", of=TRAINER, legend="running"),
    ),
    lines("Busy trainers", "short", rate(BUSY, "instance", TRAINER)),
    lines("Free scratch space", "bytes", latest(FREE, "instance", 'role="trainer", folder="scratch"', how="min")),
)
DASHBOARDS = {"overview": OVERVIEW, "serving": SERVING, "jobs": JOBS, "pools": POOLS, "training": TRAINING}


def files() -> dict[Path, str]:
    """Return the content of each dashboard's file."""
    return {FOLDER / f"{name}.json": json.dumps(content, indent=1) + "\n" for name, content in DASHBOARDS.items()}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
