"""boto3 clients and environment variables whose endpoint is a laboratory."""

from __future__ import annotations

import threading
from typing import Any

# The laboratory accepts any signature.
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"

_lock = threading.Lock()
# One session for all clients, because a session reads the description of EC2, which takes long.
_session: Any | None = None


def client(url: str, service: str, region: str, options: dict[str, Any]) -> Any:
    """Returns a boto3 client of a service at `url`."""
    try:
        from botocore.config import Config  # noqa: PLC0415 (optional, and slow to import)

        session = _shared_session()
    except ImportError as error:
        raise ImportError(
            "Lab.client needs boto3: install it with `pip install 'traffic-mirror[boto3]'`"
        ) from error
    # A proxy of the environment is not for an endpoint on this machine.
    config = Config(proxies={}).merge(options.get("config") or Config())
    arguments = {
        "endpoint_url": url,
        "region_name": region,
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": SECRET_ACCESS_KEY,
        **options,
        "config": config,
    }
    # Sessions are not thread-safe, clients are.
    with _lock:
        return session.client(service, **arguments)


def _shared_session() -> Any:
    import boto3.session  # noqa: PLC0415

    global _session  # noqa: PLW0603
    with _lock:
        if _session is None:
            _session = boto3.session.Session()
        return _session


def environment(url: str, region: str) -> dict[str, str]:
    """Returns the variables that SDKs, the AWS CLI and Terraform read."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_PAGER": "",
    }
