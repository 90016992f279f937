"""What every task of every DAG starts from."""

from datetime import timedelta

TASK = {
    "owner": "platform",
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    # A call that hangs must not hold its DAG for ever; the next try goes on from the watermarks.
    "execution_timeout": timedelta(hours=1),
}
# A check that failed has said so: once more, for a passing trouble, is enough.
CHECK = {**TASK, "retries": 1}
