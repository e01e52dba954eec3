"""The control API of the platform's process: which faults strike, kills, counters, and what is under way."""

from aiohttp import web

from local.control_api import Fields, Json, control_application
from local.production.delivery import Delivery
from local.production.faults import InvalidPlan, parse_plan
from local.refusals import Malformed, Unknown


class Control:
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def application(self) -> web.Application:
        return control_application(
            [
                ("POST", "/faults", self.faults, "plan"),
                ("POST", "/kill", self.kill, "function"),
                ("POST", "/kill_caller", self.kill_caller, "port"),
                ("GET", "/counters", self.counters, ""),
            ]
        )

    def faults(self, fields: Fields) -> Json:
        try:
            self._delivery.plan = parse_plan(fields.text_or("plan", ""))
        except InvalidPlan as error:
            raise Malformed(str(error)) from error
        return {}

    def kill(self, fields: Fields) -> Json:
        name = fields.text("function")
        if not self._delivery.is_function(name):
            raise Unknown("there is no such function")
        return {"killed": self._delivery.kill(name)}

    def kill_caller(self, fields: Fields) -> Json:
        return {"function": self._delivery.kill_caller(fields.optional_count("port") or 0)}

    def counters(self, _fields: Fields) -> Json:
        rows: list[dict[str, object]] = [
            {"name": name, "count": count} for name, count in self._delivery.counters.items() if count
        ]
        return [*rows, {"name": "under_way", "count": self._delivery.under_way}]
