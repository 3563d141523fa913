"""When a secret's rotation schedule opens its next window. Pure: no clock, no state.

Secrets Manager takes cron() with minute 0 and rate() in hours or days, or AutomaticallyAfterDays, at most every four
hours. It rotates within a window: Duration long, by default to the end of the UTC day, or one hour for schedules in
hours. Here a window's rotation starts as soon as it opens.
"""

import re
from datetime import datetime, time, timedelta

from ministack.services import eventbridge

SHORTEST = timedelta(hours=4)
_RATE = re.compile(r"rate\((\d+) (hour|hours|day|days)\)")
_DURATION = re.compile(r"(\d+)h")


class BadSchedule(ValueError):
    """The rules are not what Secrets Manager takes."""


def next_window(rules, after):
    """(opens, closes) of the first window after the UTC datetime `after`, or None where there are no rules."""
    days = rules.get("AutomaticallyAfterDays")
    expression = rules.get("ScheduleExpression", "")
    if days:
        return _whole_days(int(days), after, rules)
    if not expression:
        return None
    rate = _RATE.fullmatch(expression)
    if rate:
        count = int(rate[1])
        if rate[2].startswith("day"):
            return _whole_days(count, after, rules)
        if timedelta(hours=count) < SHORTEST:
            raise BadSchedule("The rotation schedule is too frequent: every 4 hours at most.")
        opens = after.replace(minute=0, second=0, microsecond=0) + timedelta(hours=count)
        return opens, opens + (_duration(rules) or timedelta(hours=1))
    return _cron(expression, after, rules)


def _whole_days(count, after, rules):
    if not 1 <= count <= 1000:
        raise BadSchedule("A rotation schedule has 1 to 1000 days.")
    opens = datetime.combine(after.date() + timedelta(days=count), time(0), after.tzinfo)
    return opens, opens + (_duration(rules) or timedelta(days=1))


def _cron(expression, after, rules):
    fields = eventbridge._parse_cron_fields(expression)
    if fields is None:
        raise BadSchedule(f"Invalid ScheduleExpression: {expression}")
    minutes, year = expression.split("(")[1].split()[0], expression.rstrip(")").split()[-1]
    if minutes != "0" or year != "*":
        raise BadSchedule("The minute of a rotation schedule is 0 and its year is *.")
    opens = fires = eventbridge._cron_next_fire(fields, after)
    if opens is None:
        raise BadSchedule(f"{expression} never fires.")
    # Every gap within a day shows in the next seven firings: there are at most six windows a day.
    for _ in range(7):
        following = eventbridge._cron_next_fire(fields, fires)
        if following - fires < SHORTEST:
            raise BadSchedule("The rotation schedule is too frequent: every 4 hours at most.")
        fires = following
    hourly = eventbridge._cron_next_fire(fields, opens) - opens < timedelta(days=1)
    end_of_day = datetime.combine(opens.date() + timedelta(days=1), time(0), opens.tzinfo)
    closes = opens + timedelta(hours=1) if hourly else end_of_day
    duration = _duration(rules)
    return opens, opens + duration if duration else closes


def _duration(rules):
    text = rules.get("Duration")
    if not text:
        return None
    match = _DURATION.fullmatch(text)
    if not match or not 1 <= int(match[1]) <= 24:
        raise BadSchedule("Duration is a number of hours such as 3h.")
    return timedelta(hours=int(match[1]))
