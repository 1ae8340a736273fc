"""What is made of the distances of a night, as soon as they are there and keep their limits.

An example for Airflow 3: copy it into the folder of DAGs. The sensor asks `astra status --check`, which only
reads, and whose exit code says how it is.

    0        nothing is pending, and every limit is kept
    1, 69    a limit is broken, or the database was away: look again
    others   somebody has to act: fail at once
"""

import datetime
import os

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.bash import BashSensor
from airflow.sdk import DAG

ASTRA = os.environ.get("ASTRA_COMMAND", "astra")
PRODUCTS = os.environ.get("ASTRA_PRODUCTS", "/data/products")

CHECK = "status astronn_dist --check --max-pending 0 --nights 1 --max-no-result 2% --max-bad 30% --max-pull 3"
CREATE = f"create astraAllStarAstroNNdist --output {PRODUCTS}/good.fits --where good --overwrite"

LOOK_AGAIN = 1
WITH_EXIT_CODES = f"case $? in 0) ;; 1|69) exit {LOOK_AGAIN} ;; *) exit 2 ;; esac"

with DAG(
    dag_id="astra_products",
    schedule="@daily",
    start_date=datetime.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
) as dag:
    wait = BashSensor(
        task_id="wait",
        bash_command=f"{ASTRA} {CHECK}; {WITH_EXIT_CODES}",
        retry_exit_code=LOOK_AGAIN,
        # Between two looks it holds no slot of a worker.
        mode="reschedule",
        poke_interval=datetime.timedelta(minutes=10),
        timeout=datetime.timedelta(hours=12),
    )
    create = BashOperator(task_id="create", bash_command=f"{ASTRA} {CREATE}")
    wait >> create
