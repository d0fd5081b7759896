"""API keys, projects and the audit trail."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from contract.access import ApiKey, NewApiKey, Role, Scope
from contract.audit import AuditAction, AuditEntry
from contract.projects import Project
from tidepool_client._sync.jobs import Job, Jobs
from tidepool_client._sync.transport import Transport
from tidepool_client.references import path
from tidepool_client.responses import given, parsed


class Keys:
    """`client.keys`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def me(self) -> ApiKey:
        """Return the key that the client uses."""
        return parsed(ApiKey, self._http.call("GET", path("me")))

    def list(self) -> Iterator[ApiKey]:
        """Yield the keys of the project, without their secrets, oldest first."""
        for key in self._http.items(ApiKey, path("keys")):
            yield key

    def create(
        self,
        name: str,
        *,
        role: Role | str | None = None,
        scopes: Sequence[Scope | str] = (),
        expires_at: datetime | None = None,
        origins: Sequence[str] = (),
    ) -> NewApiKey:
        """Create a key with a role or with scopes; only the returned value has its secret.

        Pages of other origins than `origins` cannot use it; without any, all can.

        >>> key = client.keys.create("a-web-page", scopes=["predict"])
        >>> key.secret.startswith("tp_")
        True
        """
        lists = given(scopes=list(scopes) or None, origins=list(origins) or None)
        body: dict[str, Any] = {"name": name} | lists | given(role=role, expires_at=expires_at)
        # not repeated after a lost response, because the repetition would not have the secret
        return parsed(NewApiKey, self._http.create(path("keys"), json=body, repeatable=False))

    def delete(self, key_id: str) -> None:
        """Revoke a key; requests with it fail within a second."""
        self._http.delete(path("keys", key_id))


class Projects:
    """`client.projects`; all but reading needs a key with the scope `admin`."""

    def __init__(self, http: Transport, jobs: Jobs) -> None:
        self._http = http
        self._jobs = jobs

    def list(self, *, limit: int | None = None) -> Iterator[Project]:
        """Yield the projects that the key may see, by name.

        >>> [project.name for project in client.projects.list()]
        ['alpha']
        """
        for project in self._http.pages(Project, path("projects"), limit):
            yield project

    def create(self, name: str, *, description: str = "") -> Project:
        """Create a project. Its first key is made by a client with `project=name`."""
        body = {"name": name, "description": description}
        return parsed(Project, self._http.call("POST", path("projects"), json=body, repeatable=False))

    def get(self, name: str) -> Project:
        """Return a project."""
        return parsed(Project, self._http.call("GET", path("projects", name)))

    def update(self, name: str, **changes: Any) -> Project:
        """Change the fields of a project that are given: `description`, `weight`, `quotas`, `retention`.

        The key needs the scope `admin`, which that of the example lacks.

        >>> client.projects.update("alpha", quotas={"live_jobs": 20})
        Traceback (most recent call last):
        tidepool_client.errors.Forbidden: ...
        """
        return parsed(Project, self._http.call("PATCH", path("projects", name), json=changes))

    def delete(self, name: str) -> None:
        """Delete a project that owns nothing."""
        self._http.delete(path("projects", name))

    def purge(self, name: str) -> Job:
        """Delete a project with everything that it has; returns the job, which is one of the project `default`."""
        return self._jobs.read(self._http.call("DELETE", path("projects", name), params={"purge": True}))


class Audit:
    """`client.audit`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def list(
        self,
        *,
        actor: str | None = None,
        action: AuditAction | str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[AuditEntry]:
        """Yield entries of the audit trail, newest first; times need a zone.

        >>> [entry.subject for entry in client.audit.list(action="promote")]
        ['models/pet-cnn@production']
        """
        params = given(actor=actor, action=action, subject=subject, since=since, until=until)
        for entry in self._http.pages(AuditEntry, path("audit"), limit, params):
            yield entry
