"""The MCP server: tools and resources on the SDK's low-level server.

The low-level one, because the contract needs what the decorators of MCPServer leave out: one error shape also for
arguments that the schema refuses, unknown arguments refused, and subscriptions of the earlier protocol revisions.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
import anyio.to_thread
from mcp.server import CacheHint, Server, ServerRequestContext
from mcp.server.caching import CacheableMethod
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    EmptyResult,
    ListResourcesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import ValidationError

from chronotick.errors import ChronoTickError
from chronotick.mcp import instructions, resources
from chronotick.mcp.access import HostAccess
from chronotick.mcp.changes import Changes
from chronotick.mcp.errors import failure
from chronotick.mcp.tools import BY_NAME, SPECS

Context = ServerRequestContext[None, Any]

# What changes with the package only may be kept this long, ms; whatever the clock says not at all.
KEPT_MS = 3_600_000
HINTS: dict[CacheableMethod, CacheHint] = {
    "server/discover": CacheHint(ttl_ms=KEPT_MS, scope="public"),
    "tools/list": CacheHint(ttl_ms=KEPT_MS, scope="public"),
    "resources/list": CacheHint(ttl_ms=KEPT_MS, scope="public"),
    "resources/read": CacheHint(ttl_ms=0, scope="private"),
}


def build(access: HostAccess) -> Server[None]:
    """The server, on one way to the host that all its connections share."""
    changes = Changes(access)

    async def list_tools(ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[spec.listed() for spec in SPECS])

    async def call_tool(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
        spec = BY_NAME.get(params.name)
        if spec is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:64]}. There are: {', '.join(BY_NAME)}.")
        given = params.arguments or {}
        began = time.perf_counter()
        failed = True
        try:
            asked = spec.asked.model_validate(given)
        except ValidationError as error:
            access.count(time.perf_counter() - began, failed=True)
            return failure(spec.name, given, error)
        try:
            answer = await spec.call(access, asked, ctx.session.report_progress)
            failed = False
        except ChronoTickError as error:
            return failure(spec.name, given, error)
        finally:
            access.count(time.perf_counter() - began, failed=failed)
        body = answer.model_dump(mode="json")
        return CallToolResult(content=[TextContent(type="text", text=json.dumps(body))], structured_content=body)

    async def list_resources(ctx: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return ListResourcesResult(resources=[spec.listed() for spec in resources.SPECS])

    async def read_resource(ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        spec = _resource(params.uri)
        try:
            text = await anyio.to_thread.run_sync(resources.text, spec, access)
        except ChronoTickError as error:
            raise MCPError(INTERNAL_ERROR, str(error), {"uri": spec.uri, "kind": type(error).__name__}) from error
        return ReadResourceResult(contents=[TextResourceContents(uri=spec.uri, mime_type=resources.MIME, text=text)])

    async def subscribe(ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        changes.subscribe(ctx.session, _resource(params.uri).uri)
        return EmptyResult()

    async def unsubscribe(ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        changes.unsubscribe(ctx.session, params.uri)
        return EmptyResult()

    @asynccontextmanager
    async def lifespan(_: Server[None]) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(changes.watch)
            yield
            tasks.cancel_scope.cancel()

    return Server(
        "chronotick",
        version=version("chronotick"),
        title="ChronoTick",
        description="Trusted time for agents: now, with the interval that holds it.",
        instructions=instructions.TEXT,
        cache_hints=HINTS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
        on_subscribe_resource=subscribe,
        on_unsubscribe_resource=unsubscribe,
        on_subscriptions_listen=ListenHandler(changes.bus),
        lifespan=lifespan,
    )


def _resource(uri: str) -> resources.ResourceSpec:
    spec = resources.BY_URI.get(uri)
    if spec is None:
        known = ", ".join(resources.BY_URI)
        raise MCPError(INVALID_PARAMS, f"There is no resource {uri[:64]}, only {known}.", {"uri": uri[:64]})
    return spec
