"""The application: its routes, its page, what guards both."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from volest._version import __version__
from volest.serve import demo, problems
from volest.serve.drift import watch_drift
from volest.serve.gate import Gate
from volest.serve.jobs import Jobs
from volest.serve.mqtt import Mqtt
from volest.serve.problems import ProblemError
from volest.serve.routes import about, events, exports, figures, loads, stream, tickets, tokens, trucks
from volest.serve.routes import jobs as job_routes
from volest.serve.service import Service

__all__ = ["application"]

PAGE = Path(__file__).parent / "page"


def application(service: Service) -> FastAPI:
    """The application over a service, which it starts and stops together with what runs beside the requests."""
    jobs = Jobs(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        mqtt = None if service.settings.mqtt is None else Mqtt(service, service.settings.mqtt)
        if mqtt is not None:
            mqtt.start()
        for work in (jobs.run("loads"), jobs.run("commission"), watch_drift(service)):
            service.beside(work)
        if service.settings.demo:
            service.beside(demo.run(service))
        try:
            yield
        finally:
            if mqtt is not None:
                mqtt.stop()
            await service.stop()

    app = FastAPI(
        title="volest",
        version=__version__,
        summary="How much is in the truck: volume, mass, density and wetness, each with an honest interval",
        docs_url=None,  # its page would come from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=_name,
    )
    app.state.service, app.state.jobs = service, jobs
    problems.install(app)
    app.router.routes.append(loads.FAST)
    for part in (loads, trucks, job_routes, figures, stream, events, exports, tickets, tokens, about):
        app.include_router(part.router)
    _show_page(app)
    app.add_middleware(Gate, settings=service.settings, metrics=service.metrics)
    return app


def _name(route: APIRoute) -> str:
    return re.sub("^_+", "", route.name)


class _Static(StaticFiles):
    """Files that a browser asks for anew each time, and gets only where they changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _show_page(app: FastAPI) -> None:
    if PAGE.is_dir():
        app.mount("/static", _Static(directory=PAGE))

    @app.get("/", include_in_schema=False)
    async def get_page() -> Response:
        if not (PAGE / "index.html").is_file():
            raise ProblemError(404, "this installation has no page; the API is told of at /openapi.json")
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})
