"""
What people run beside the database: a pool of threads with boto3, one call a
row.  It reads numbers from standard input, makes that many calls for each, the
rows in turn, and prints how many answers had a body.

usage: boto3_pool.py URL ENDPOINT ROWS CA THREADS
"""

import itertools
import os
import sys
import threading

import boto3
from botocore.config import Config

url, endpoint, file, ca, n_threads = sys.argv[1:]
client = boto3.client(
    "sagemaker-runtime", endpoint_url=url, verify=ca or None,
    region_name=os.environ["AWS_REGION"],
    config=Config(max_pool_connections=int(n_threads)))
with open(file) as lines:
    rows = itertools.cycle(lines.read().splitlines())


def work(mine, counts):
    for row in mine:
        answer = client.invoke_endpoint(EndpointName=endpoint, Body=row,
                                        ContentType="text/csv", Accept="text/csv")
        counts.append(len(answer["Body"].read()) > 0)


for line in sys.stdin:
    # One iterator for all: next() on it is a single step to other threads.
    todo, done = itertools.islice(rows, int(line)), []
    threads = [threading.Thread(target=work, args=(todo, done))
               for _ in range(int(n_threads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(done), flush=True)
