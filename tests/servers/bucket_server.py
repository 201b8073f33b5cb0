"""An S3 server of the tests' own: moto, in this process, on loopback."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import boto3
from moto.server import ThreadedMotoServer


@dataclass
class BucketServer:
    """A running S3 server.

    Attributes:
        url: Its address.
        server: The server.
    """

    url: str
    server: ThreadedMotoServer
    count: int = 0

    def environ(self) -> dict[str, str]:
        """Return the variables by which S3 clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "canary-access",
            "AWS_SECRET_ACCESS_KEY": "canary-secret",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """Make a bucket and return its name."""
        self.count += 1
        name = f"bucket-{self.count}"
        self.client().create_bucket(Bucket=name)
        return name

    def client(self) -> boto3.client:
        """Return a client of another make, to look at what is really there."""
        environ = self.environ()
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
            region_name=environ["AWS_REGION"],
        )


def start_bucket_server() -> BucketServer:
    """Start a server on a free port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return BucketServer(url=f"http://{host}:{port}", server=server)
