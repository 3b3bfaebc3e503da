"""Makes set timers hold the watermark back in a bounded run on this machine, as Beam's model requires.

BundleBasedDirectRunner (Beam 2.77) lets the output watermark of a step pass its timers. At the end of a log, the steps
that group can then be complete before the timers fire. If no change came before that, they fail at the first one.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from apache_beam.runners.direct.transform_evaluator import _ParDoEvaluator
from apache_beam.runners.direct.watermark_manager import WatermarkManager


@contextlib.contextmanager
def timers_hold_watermarks() -> Iterator[None]:
    """Patches the local runner for a `with` block, which must contain the whole run."""
    evaluator_class: Any = _ParDoEvaluator
    finish_bundle = evaluator_class.finish_bundle

    def finish_bundle_with_holds(evaluator: Any) -> Any:
        result = finish_bundle(evaluator)
        result.keyed_watermark_holds = {
            encoded_key: _hold(state) for encoded_key, state in result.partial_keyed_state.items()
        }
        return result

    evaluator_class.finish_bundle = finish_bundle_with_holds
    try:
        yield
    finally:
        evaluator_class.finish_bundle = finish_bundle


def _hold(state: Any) -> Any:
    """Returns the hold of a key: at the beginning of time if a timer of it is set, otherwise none."""
    has_timers = any(timers for timers in state.timers.values())
    return WatermarkManager.WATERMARK_NEG_INF if has_timers else WatermarkManager.WATERMARK_POS_INF
