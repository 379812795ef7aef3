"""The function `decode_objects`, on the embedded AWS."""

import msgspec

import environment
from compaction.archive import objects
from compaction.hours import Window
from decode_objects import handler
from reprocessing.fingerprint import fingerprint
from reprocessing.keys import decoded_key
from reprocessing.manifests import DecodeResult, DecodeTask
from reprocessing.request import Scope
from tests.lake import AT, NOW, Lake, reading
from tests.lambdas.reprocessing import decodes


def test_the_function_takes_a_line_of_the_plan_and_answers_counts(deployed: Lake, context: object) -> None:
    handler._decoder.cache_clear()
    deployed.put("a", [reading(), reading(), reading(at=AT + 1), b"x"])
    rules = fingerprint(environment.settings())
    decodes.planned(deployed, decodes.request(Scope(AT * 1000, AT * 1000 + 1)), rules=rules)
    task = DecodeTask("00000", tuple(objects(deployed.s3, deployed.raw, Window(None, NOW))))

    answer = handler.handle({"run_id": "run", "task": msgspec.to_builtins(task)}, context)

    assert answer == {
        "task_id": "00000",
        "records": 4,
        "stored": 1,
        "duplicate": 1,
        "quarantined": 1,
        "outside": 1,
        "files": 1,
    }
    result = msgspec.json.decode(deployed.store.read(decoded_key("run", "00000")) or b"", type=DecodeResult)
    assert (result.rules, len(decodes.staged(deployed, result))) == (rules, 1)
