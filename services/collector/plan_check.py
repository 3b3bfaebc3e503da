"""Checks events against the tracking plan in the collector."""

from typing import Any

from segmentation.tracking_plan.load import TrackingPlanError
from segmentation.tracking_plan.plan import TrackingPlan, format_violations
from services.collector.messages import PlanCheck, PlanViolation
from stores.files import CLOUD
from stores.tracking_plan import read_tracking_plan


def load_plan_check(folder: str) -> PlanCheck:
    """Returns the check against the plan in a local folder.

    Raises:
      TrackingPlanError: the folder is not local or cannot be read, or a file is wrong.
    """
    if folder.startswith(CLOUD):
        raise TrackingPlanError(
            f"{folder} is not on this machine: mount the bucket, or build the folder into the image"
        )
    return plan_check(read_tracking_plan(folder).plan)


def plan_check(plan: TrackingPlan) -> PlanCheck:
    """Returns the check against a plan."""

    def check(name: str, message: dict[str, Any]) -> PlanViolation | None:
        violations = plan.violations(name, message)
        return PlanViolation(plan.on_violation(name), format_violations(violations)) if violations else None

    return check
