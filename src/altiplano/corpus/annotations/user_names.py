"""Names of users in paths and profile addresses."""

import re
from collections.abc import Iterator

from altiplano.corpus.annotations.windows import mark_windows

PATH = re.compile(
    r"(?:/home/|/Users/|/export/home/|\b[A-Za-z]:\\{1,2}(?:Users|Documents and Settings)\\{1,2})"
    r"(?P<name>[A-Za-z][\w.-]{1,31})(?=[/\\\s\"'`:;,)>\]]|$)"
)
PROFILE = re.compile(
    r"(?<![\w.])(?:www\.)?(?:linkedin\.com/in/|(?:twitter|instagram|facebook|vk|tiktok)\.com/@?|t\.me/|medium\.com/@|"
    r"[a-z0-9.-]{1,80}\.[a-z]{2,10}/(?:@|~|users/|profile/|u/))(?P<name>[\w][\w.%-]{2,40})(?=[/?#\s\"'`)>\],.;]|$)",
    re.IGNORECASE,
)
FILE = re.compile(r"\.(?:[sx]?html?|php|aspx?|jsp|js|css|png|jpe?g|gif|svg|pdf|xml|json|txt|md|rss)$")
ROLES = {
    "user", "username", "users", "user1", "user2", "you", "yourname", "your-name", "your_name", "yourusername", "me",
    "myuser", "my-user", "name", "someone", "somebody", "somename", "someuser", "root", "admin", "administrator",
    "guest", "public", "shared", "default", "all", "ubuntu", "debian", "centos", "fedora", "vagrant", "runner",
    "runneradmin", "travis", "circleci", "jenkins", "build", "builder", "buildbot", "ci", "git", "www", "www-data",
    "app", "node", "python", "docker", "ec2-user", "jovyan", "pi", "dev", "developer", "test", "tester", "testuser",
    "example", "foo", "bar", "baz", "linuxbrew", "share", "sharer", "intent", "home", "search", "hashtag", "explore",
    "login", "signup", "privacy", "about", "help", "settings", "pages", "groups", "events", "watch", "people",
    "profile", "tr", "joinchat", "new", "edit", "list", "register", "password", "alice", "bob", "john", "jane",
    "johndoe", "janedoe", "hadoop", "spark", "postgres", "mysql", "nginx", "redis", "oracle", "steam", "work",
    "workspace", "project", "projects", "site", "web", "plugins", "dialog", "status", "company", "messages",
    "notifications", "account", "accounts", "sharearticle", "hostname", "target", "notes", "i", "p", "statuses",
    "demo", "sample", "temp", "tmp", "local", "lib", "bin", "src", "conda", "anaconda",
}  # fmt: skip
"""Roles and words of documentation that stand where a name would."""


PATH_MARKS = ("/home/", "/Users/", "\\Users\\", "Documents and Settings")
PROFILE_MARKS = (".com/", "t.me/", "/@", "/~", "/users/", "/profile/", "/u/", "/in/")
BEFORE, AFTER = 80, 80
"""Characters of an address or path around its mark."""


def user_names(text: str) -> Iterator[tuple[int, int]]:
    """Where the names stand, without the path or address around them."""
    for pattern, marks in ((PATH, PATH_MARKS), (PROFILE, PROFILE_MARKS)):
        for low, high in mark_windows(text, marks, BEFORE, AFTER):
            for match in pattern.finditer(text, low, high):
                name = match.group("name").rstrip(".")
                if name.lower() not in ROLES and not FILE.search(name):
                    yield match.start("name"), match.start("name") + len(name)
