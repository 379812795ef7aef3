"""What is kept of layers when the embedded AWS stops, and found when it starts again."""

import base64
import json

import pytest
from ministack.core import persistence
from ministack.core.responses import request_scope
from ministack.services import lambda_svc

from local.additions.functions import kept_layers

CONTENT = b"PK\x05\x06" + bytes(18)
"""An empty zip."""


@pytest.fixture
def restart(monkeypatch, tmp_path):
    """Stops and starts; what the record of the state is, as text."""
    for name in ("get_state", "load_persisted_state"):
        monkeypatch.setattr(lambda_svc, name, getattr(lambda_svc, name))
    monkeypatch.setattr(lambda_svc, "CODE_BLOB_DIR", str(tmp_path))
    kept_layers.install()

    def stop_and_start() -> str:
        record = json.dumps(lambda_svc.get_state(), default=persistence._json_default)
        lambda_svc._layers.clear()
        lambda_svc.load_persisted_state(json.loads(record, object_hook=persistence._json_object_hook))
        return record

    return stop_and_start


def test_the_content_of_a_layer_is_kept_in_a_file_and_comes_back(restart):
    content = base64.b64encode(CONTENT).decode()
    with request_scope("000000000003", "ap-southeast-1"):
        lambda_svc._publish_layer_version("packages", {"Content": {"ZipFile": content}})
        for _ in range(2):
            assert content not in restart()
            (version,) = lambda_svc._layers.get("packages")["versions"]
            assert lambda_svc._resolve_layer_zip(version["LayerVersionArn"]) == CONTENT
