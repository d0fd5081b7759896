"""Who looks at a page: the caller of the browser's session, and the stores of the project that it works in."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from contract.access import Caller, Scope
from contract.errors import Forbidden, Unauthenticated
from services.gateway.dependencies import Backends, BackendsDep
from services.gateway.edge.key_first import address_of
from services.gateway.edge.sessions import session_of
from services.storage.screens.shell import ShellCounts, ShellReader
from services.storage.stores import ProjectStores

NO_SCOPE = "your key lacks the scope {!s}; sign in with one that has it"
ONLY_REVIEWS = "your key may only review images; ask an admin of the project for a key with another role"


class SignedOut(Unauthenticated):
    """The browser has no session; it is sent to the sign-in page, and back to `path` from there."""

    def __init__(self, message: str, path: str = "/") -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class Viewer:
    """The person at the browser; `token` is that of the session."""

    caller: Caller
    token: str
    backends: Backends
    stores: ProjectStores

    @property
    def is_instance_admin(self) -> bool:
        return self.caller.allows(Scope.ADMIN)

    @property
    def may_read(self) -> bool:
        return self.caller.allows(Scope.READ)

    @property
    def may_review(self) -> bool:
        return self.caller.allows(Scope.REVIEW)

    @property
    def only_reviews(self) -> bool:
        """Whether the person sees nothing but the review screen."""
        return self.may_review and not self.may_read

    @property
    def may_write(self) -> bool:
        return self.caller.allows(Scope.WRITE)

    @property
    def may_manage(self) -> bool:
        return self.caller.allows(Scope.MANAGE)

    def require(self, scope: Scope) -> None:
        """Raise Forbidden if the viewer's key lacks a scope."""
        if not self.caller.allows(scope):
            raise Forbidden(ONLY_REVIEWS if self.only_reviews else NO_SCOPE.format(scope))

    def counts(self) -> ShellCounts:
        """Return the counts that the navigation shows."""
        return ShellReader(self.stores.database, self.caller.project).counts()

    def project_names(self) -> tuple[str, ...]:
        """Return the projects that the viewer can switch to; one that is no instance's admin has only its own."""
        if not self.is_instance_admin:
            return (self.caller.project,)
        return tuple(project.name for project in self.stores.projects.list(200).items)


async def get_viewer(request: Request, backends: BackendsDep) -> Viewer:
    """Return the viewer; raises SignedOut without a session, and Forbidden if another site's page sent the request."""
    token = session_of(request.headers, request.method)
    if not token:
        raise SignedOut("sign in", own_address(request))
    try:
        caller = await backends.access.authenticate(None, address=address_of(request.scope), session=token)
    except Unauthenticated as error:
        raise SignedOut("sign in", own_address(request)) from error
    return Viewer(caller, token, backends, backends.stores_of(caller))


ViewerDep = Annotated[Viewer, Depends(get_viewer)]


class ViewerNeeds:
    """A dependency that raises Forbidden if the viewer's key lacks a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(self, viewer: ViewerDep) -> None:
        viewer.require(self._scope)
        if self._scope is Scope.PREDICT:
            await viewer.backends.quotas.require_seconds(viewer.caller)


MAY_SEE = [Depends(ViewerNeeds(Scope.READ))]
MAY_REVIEW = [Depends(ViewerNeeds(Scope.REVIEW))]
MAY_CHANGE = [Depends(ViewerNeeds(Scope.WRITE))]
MAY_MANAGE = [Depends(ViewerNeeds(Scope.MANAGE))]
MAY_ADMIN = [Depends(ViewerNeeds(Scope.ADMIN))]


def own_address(request: Request) -> str:
    """Return the path and query of a request for a page, "/" for one that changes something."""
    if request.method != "GET":
        return "/"
    return quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
