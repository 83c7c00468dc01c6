#!/usr/bin/python3
"""Creates what is missing of keystone's users, projects, roles, services and endpoints.

Reads statements from stdin, one per line, in shell quoting; prints one id per statement (endpoint-url: the URL).
Everything is asked of the Identity API v3 with the standard library alone: importing openstacksdk takes longer than
all requests together. Needs KEYSTONE_SERVICE_URI and ADMIN_PASSWORD in the environment.

    domain NAME [DESCRIPTION]
    project NAME DOMAIN
    group NAME DOMAIN [DESCRIPTION]
    role NAME
    user NAME PASSWORD DOMAIN [EMAIL]
    service NAME TYPE [DESCRIPTION]
    endpoint SERVICE REGION public|internal|admin URL
    endpoint-url SERVICE INTERFACE
    grant ROLE user|group NAME project|domain|system NAME [NAME'S DOMAIN [PROJECT'S DOMAIN]]

An existing object is left as it is. Objects are named by name or by id; a domain that is not given is the default one.
"""
import json
import os
import shlex
import sys
import urllib.error
import urllib.parse
import urllib.request


class Keystone:
    def __init__(self, uri, password):
        self.base = uri.rstrip("/") + "/v3"
        self.token = None
        self.known = {}
        default = {"id": "default"}
        user = {"name": "admin", "domain": default, "password": password}
        _, headers = self.call("POST", "/auth/tokens", {"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            # System scope would do, too, but costs keystone four times the time of every request.
            "scope": {"project": {"name": "admin", "domain": default}},
        }})
        self.token = headers["X-Subject-Token"]

    def call(self, method, path, body=None):
        """Returns the decoded answer and its headers; a status of 400 or more ends the program with the answer."""
        request = urllib.request.Request(self.base + path, method=method)
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("X-Auth-Token", self.token)
        data = json.dumps(body).encode() if body is not None else None
        try:
            with urllib.request.urlopen(request, data, timeout=60) as answer:
                text = answer.read()
                return json.loads(text) if text else None, answer.headers
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            sys.exit(f"accounts: {method} {self.base}{path}: {error.code}: {text.strip()}")
        except OSError as error:
            sys.exit(f"accounts: {method} {self.base}{path}: {error}")

    def all(self, kind):
        """The objects of a collection, as they were when first asked for, plus what was created since."""
        if kind not in self.known:
            self.known[kind] = self.call("GET", f"/{kind}s")[0][f"{kind}s"]
        return self.known[kind]

    def find(self, kind, **fields):
        """The id of the one object with these fields, None when there is none."""
        match = [each["id"] for each in self.all(kind) if fields.items() <= each.items()]
        if len(match) > 1:
            sys.exit(f"accounts: {len(match)} {kind}s have {fields}: name one by its id")
        return match[0] if match else None

    def get(self, kind, name, **fields):
        """The id of an object that must exist, given its name (in the domain that fields may say) or its id."""
        identity = self.find(kind, name=name, **fields) or self.find(kind, id=name)
        if identity is None:
            sys.exit(f"accounts: there is no {kind} {name}")
        return identity

    def create(self, kind, key, **more):
        """The id of the object with the fields of key; made, with those that more has besides, if it is missing."""
        identity = self.find(kind, **key)
        if identity is None:
            body = {**key, **{field: value for field, value in more.items() if value}}
            created = self.call("POST", f"/{kind}s", {kind: body})[0][kind]
            self.all(kind).append(created)
            identity = created["id"]
        return identity

    def in_domain(self, name):
        return {"domain_id": self.get("domain", name or "default")}

    def service(self, name):
        """The id of a service that is known by its type, its name or its id."""
        return self.find("service", type=name) or self.get("service", name)

    # One method per statement.

    def do_domain(self, name, description=""):
        return self.create("domain", {"name": name}, description=description)

    def do_project(self, name, domain=""):
        return self.create("project", {"name": name, **self.in_domain(domain)})

    def do_group(self, name, domain="", description=""):
        return self.create("group", {"name": name, **self.in_domain(domain)}, description=description)

    def do_role(self, name):
        return self.create("role", {"name": name, "domain_id": None})

    def do_user(self, name, password, domain="", email=""):
        return self.create("user", {"name": name, **self.in_domain(domain)}, password=password, email=email)

    def do_service(self, name, kind, description=""):
        return self.create("service", {"type": kind}, name=name, description=description)

    def do_endpoint(self, service, region, interface, url):
        key = {"service_id": self.service(service), "region_id": region, "interface": interface}
        return self.create("endpoint", key, url=url)

    def do_endpoint_url(self, service, interface):
        service = self.service(service)
        return " ".join(each["url"] for each in self.all("endpoint")
                        if each["service_id"] == service and each["interface"] == interface)

    def do_grant(self, role, actor_kind, actor, target_kind, target, actor_domain="", target_domain=""):
        role = self.get("role", role)
        actor = self.get(actor_kind, actor, **self.in_domain(actor_domain))
        if target_kind == "system":
            path = "/system"
        elif target_kind == "domain":
            path = "/domains/" + self.get("domain", target)
        else:
            path = "/projects/" + self.get("project", target, **self.in_domain(target_domain))
        self.call("PUT", f"{path}/{actor_kind}s/{actor}/roles/{role}")
        return role


def main():
    keystone = Keystone(os.environ["KEYSTONE_SERVICE_URI"], os.environ["ADMIN_PASSWORD"])
    for line in sys.stdin:
        words = shlex.split(line)
        if not words:
            continue
        method = getattr(keystone, "do_" + words[0].replace("-", "_"), None)
        if method is None:
            sys.exit(f"accounts: unknown statement {words[0]}")
        print(method(*words[1:]), flush=True)


if __name__ == "__main__":
    main()
