"""Entries that are no servers but notes of the provider's, known by their names: "12 days left", "剩余流量 5 GB".

Only by how a name begins, and only if little follows: some panels write the days left behind a real server's name.
"""

from __future__ import annotations

import re

# ruff: noqa: RUF001 - words in four scripts

REASON = "It is a note of the provider's (time, traffic, news), not a server."
MOST_WORDS = 3  # behind the beginning: a unit, "until", "left"
SIGN = r"\s*[:\uff1a=]"
END = r"(?=\s*[:\uff1a=|\d]|\s*$)"
STARTS = (
    r"(?:剩余|已用|可用|总)(?:流量|时间|天数)",
    r"(?:流量|套餐|订阅)?(?:到期|过期|重置|有效期)",
    r"距离下次重置|官网|(?:官方|最新|备用|永久)(?:网址|地址|网站)",
    r"更新订阅|请更新|请重新导入",
    r"(?:traffic|data|bandwidth|quota|usage)" + SIGN,
    r"(?:traffic|data|bandwidth|quota|volume|time|days?)\s*(?:left|remain\w*|used)" + END,
    r"(?:remaining|left|used)\s*(?:traffic|data|bandwidth|quota|volume|time|days?)" + END,
    r"remaining" + SIGN,
    r"(?:subscription\s*)?expir\w*(?:\s+(?:date|time|in|on|at))?" + END,
    r"\d+(?:[.,]\d+)?\s*(?:[kmgt]i?b|days?|hours?)\s+(?:left|remain\w*)",
    r"осталось|остаток|истекает|истекла",
    r"(?:трафик|дней|срок|подписка)(?:\s*(?:осталось|истека\w*|действ\w*|до)" + END + "|" + SIGN + ")",
    r"\d+(?:[.,]\d+)?\s*(?:дн\w*|день|[кмгт]б)\s*(?:осталось)?(?=\s*$)",
    r"(?:حجم|ترافیک|زمان|روز|اعتبار)(?:\s*(?:باقی\s*مانده|مانده|مصرفی)" + END + "|" + SIGN + ")",
    r"باقی\s*مانده|(?:تاریخ\s*)?انقضا",
    r"\d+(?:[.,]\d+)?\s*(?:روز|گیگ\w*|مگ\w*)\s*(?:باقی\s*)?(?:مانده)?(?=\s*$)",
)
NOTE = re.compile(rf"[\W_]*(?:{'|'.join(STARTS)})", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]+")


def is_note(name: str) -> bool:
    found = NOTE.match(name)
    return found is not None and len(WORD.findall(name, found.end())) <= MOST_WORDS
