"""The control API of the task server: trouble for the next tasks, counters, and what waits."""

from collections.abc import Mapping

from aiohttp import web

from local.cloud_tasks.queue import Queue
from local.cloud_tasks.trouble import Trouble, TroubleKind
from local.control_api import Fields, Json, control_application


class Control:
    def __init__(self, queues: Mapping[str, Queue], trouble: Trouble) -> None:
        self._queues = queues
        self._trouble = trouble

    def application(self) -> web.Application:
        return control_application(
            [
                ("POST", "/trouble", self.ask, "kind times"),
                ("POST", "/release", self.release, ""),
                ("POST", "/pause", self.pause, ""),
                ("POST", "/resume", self.resume, ""),
                ("GET", "/counters", self.counters, ""),
                ("GET", "/tasks", self.tasks, ""),
                ("POST", "/reset", self.reset, ""),
            ]
        )

    def ask(self, fields: Fields) -> Json:
        self._trouble.ask(fields.choice("kind", TroubleKind), fields.optional_count("times") or 1)
        return {}

    def release(self, _fields: Fields) -> Json:
        return {"released": sum(queue.release() for queue in self._queues.values())}

    def pause(self, _fields: Fields) -> Json:
        for queue in self._queues.values():
            queue.pause()
        return {}

    def resume(self, _fields: Fields) -> Json:
        for queue in self._queues.values():
            queue.resume()
        return {}

    def counters(self, _fields: Fields) -> Json:
        return [{"name": name, "count": count} for name, count in self._trouble.counters.items()]

    def tasks(self, _fields: Fields) -> Json:
        return [
            {"queue": queue.settings.name, "name": task.spec.short_name, "held": not task.released.is_set()}
            for queue in self._queues.values()
            for task in queue.tasks.values()
        ]

    def reset(self, _fields: Fields) -> Json:
        for queue in self._queues.values():
            queue.reset()
        self._trouble.reset()
        return {}
