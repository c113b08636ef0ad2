"""Thresholds overridden for all services or for one, and findings to ignore until a date."""

from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field, model_validator

from railmend.assessment.settings import AssessmentSettings
from railmend.contracts.scan import Finding, FindingKind, Service


class Ignore(BaseModel):
    """Ignore findings of this kind (None: of any) for matching services until the end of a day (UTC)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(min_length=1, description="name or id; * and ? stand for anything")
    kind: FindingKind | None = None
    until: date
    reason: str = ""

    def covers(self, finding: Finding, at: datetime) -> bool:
        if at > datetime.combine(self.until, time.max, UTC) or self.kind not in (None, finding.kind):
            return False
        return any(fnmatchcase(name, self.service) for name in (finding.service_name, finding.service_id))


class AssessmentRules(AssessmentSettings):
    """The table `[assessment]` of railmend.toml: thresholds, those of single services, and what to ignore."""

    services: dict[str, dict[str, float]] = Field({}, description="thresholds by the service's name or id")
    ignore: tuple[Ignore, ...] = ()

    @model_validator(mode="after")
    def _services_are_right(self) -> "AssessmentRules":
        for name, thresholds in self.services.items():
            unknown = sorted(set(thresholds) - set(AssessmentSettings.model_fields))
            if unknown:
                raise ValueError(f"services.{name}: no such threshold: {', '.join(unknown)}")
            AssessmentSettings(**thresholds)
        return self

    def settings_for(self, service: Service) -> AssessmentSettings:
        """Return the thresholds of one service; those by its id win over those by its name."""
        own = self.services.get(service.name, {}) | self.services.get(service.service_id, {})
        return self.model_copy(update=own) if own else self

    def over(self, project: "AssessmentRules") -> "AssessmentRules":
        """Return these rules overridden by a project's own; ignore rules and services add up."""
        own = {name: getattr(project, name) for name in project.model_fields_set}
        services = {name: {**self.services.get(name, {}), **t} for name, t in project.services.items()}
        return self.model_copy(
            update={
                **own,
                "services": self.services | services,
                "ignore": (*self.ignore, *project.ignore),
            }
        )

    def ignores(self, finding: Finding, at: datetime) -> bool:
        """Return whether an ignore rule that has not expired at this time covers the finding."""
        return any(ignore.covers(finding, at) for ignore in self.ignore)
