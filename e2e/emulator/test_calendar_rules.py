"""When the next rotation window opens. Run in e2e/: python -m unittest emulator.test_calendar_rules"""

import unittest
from datetime import datetime, timezone

from . import calendar_rules


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def window(after, **rules):
    opens, closes = calendar_rules.next_window(rules, at(after))
    return opens.strftime("%Y-%m-%d %H:%M"), closes.strftime("%Y-%m-%d %H:%M")


class NextWindow(unittest.TestCase):
    def test_monthly_on_a_day_of_the_month(self):
        got = window("2026-01-05T12:00:00", ScheduleExpression="cron(0 3 4 * ? *)", Duration="1h")
        self.assertEqual(got, ("2026-02-04 03:00", "2026-02-04 04:00"))

    def test_weekly_on_a_day_of_the_week(self):
        got = window("2026-01-05T12:00:00", ScheduleExpression="cron(0 3 ? * 1 *)", Duration="1h")
        self.assertEqual(got, ("2026-01-11 03:00", "2026-01-11 04:00"))

    def test_weekly_by_the_days_name(self):
        got = window("2026-01-05T12:00:00", ScheduleExpression="cron(0 3 ? * MON *)", Duration="1h")
        self.assertEqual(got, ("2026-01-12 03:00", "2026-01-12 04:00"))

    def test_a_list_of_hours(self):
        got = window("2026-01-05T12:00:00", ScheduleExpression="cron(0 3,7,11,15,19,23 * * ? *)", Duration="1h")
        self.assertEqual(got, ("2026-01-05 15:00", "2026-01-05 16:00"))

    def test_daily(self):
        got = window("2026-01-05T12:00:00", ScheduleExpression="cron(0 3 * * ? *)", Duration="1h")
        self.assertEqual(got, ("2026-01-06 03:00", "2026-01-06 04:00"))

    def test_every_four_hours(self):
        got = window("2026-01-05T12:30:00", ScheduleExpression="cron(0 0/4 * * ? *)", Duration="1h")
        self.assertEqual(got, ("2026-01-05 16:00", "2026-01-05 17:00"))

    def test_every_eight_hours_from_two(self):
        got = window("2026-01-05T19:00:00", ScheduleExpression="cron(0 2/8 * * ? *)", Duration="1h")
        self.assertEqual(got, ("2026-01-06 02:00", "2026-01-06 03:00"))

    def test_a_rate_in_days_opens_at_midnight_for_the_whole_day(self):
        got = window("2026-01-05T12:00:00", ScheduleExpression="rate(10 days)")
        self.assertEqual(got, ("2026-01-15 00:00", "2026-01-16 00:00"))

    def test_automatically_after_days(self):
        self.assertEqual(window("2026-01-05T12:00:00", AutomaticallyAfterDays=1)[0], "2026-01-06 00:00")

    def test_a_rate_in_hours_lasts_an_hour(self):
        got = window("2026-01-05T12:30:00", ScheduleExpression="rate(4 hours)")
        self.assertEqual(got, ("2026-01-05 16:00", "2026-01-05 17:00"))

    def test_no_rules_no_window(self):
        self.assertIsNone(calendar_rules.next_window({}, at("2026-01-05T12:00:00")))

    def test_refused_as_by_secrets_manager(self):
        for expression in ("cron(5 3 4 * ? *)", "cron(0 3 4 * ? 2027)", "cron(0 0/2 * * ? *)", "cron(0 3 4 * 1 *)",
                           "rate(3 hours)", "rate(5 minutes)", "every day"):
            with self.subTest(expression), self.assertRaises(calendar_rules.BadSchedule):
                calendar_rules.next_window({"ScheduleExpression": expression}, at("2026-01-05T12:00:00"))


if __name__ == "__main__":
    unittest.main()
