"""The least that a Python function does before its first request: import boto3, make the clients, ask for an event.

Countersign has no function in Python. This one is the yardstick of `make bench`: the same clients as the Go function
that it stands beside (CLIENTS, comma-separated), and the runtime API by the standard library, without awslambdaric.
"""

import http.client
import os

import boto3

CLIENTS = {name: boto3.client(name) for name in os.environ["CLIENTS"].split(",")}


def handler(event):
    return {"clients": sorted(CLIENTS)}


def main():
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        runtime.request("GET", "/2018-06-01/runtime/invocation/next")
        answer = runtime.getresponse()
        handler(answer.read())
        path = f"/2018-06-01/runtime/invocation/{answer.headers['Lambda-Runtime-Aws-Request-Id']}/response"
        runtime.request("POST", path, body=b"{}")
        runtime.getresponse().read()


if __name__ == "__main__":
    main()
