"""A machine that decodes, and those who speak into it, without either: on a clock that only events move.

The queue, the batches and the ladder of load are the very ones that a server has
(:mod:`rtc_stt.decode_queue`, :mod:`rtc_stt.dispatch`, :mod:`rtc_stt.load`). Made up are the speakers
(:mod:`.speaker`) and how long a call of the engine takes (:mod:`.service_times`), which is measured
beforehand. Pure: the same seed gives the same figures.
"""

from rtc_stt.simulation.fleet import Fleet, FleetSetting, Minute, Scaler, Seen
from rtc_stt.simulation.fleet_plan import FleetPlan, plan_fleet
from rtc_stt.simulation.lanes import Told
from rtc_stt.simulation.manner import Manner, Stretch
from rtc_stt.simulation.node import Node, Setting
from rtc_stt.simulation.plan import Plan, make_plan
from rtc_stt.simulation.run import Figures, simulate
from rtc_stt.simulation.service_times import ServiceTimes, read_times
from rtc_stt.simulation.speaker import Speaker

__all__ = [
    "Figures",
    "Fleet",
    "FleetPlan",
    "FleetSetting",
    "Manner",
    "Minute",
    "Node",
    "Plan",
    "Scaler",
    "Seen",
    "ServiceTimes",
    "Setting",
    "Speaker",
    "Stretch",
    "Told",
    "make_plan",
    "plan_fleet",
    "read_times",
    "simulate",
]
