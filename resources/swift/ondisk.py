"""ondisk.py REQUEST: what swift's storage servers keep on this machine's disks, read without swift's code.

REQUEST is JSON, in base64:

    {"config": directory, "account": name, "containers": [name], "objects": [[container, object]]}
        that account's database, those containers' and those objects' files; without a list, all that the databases name
    {"config": directory, "everything": name}
        the data files and the databases in use that this machine still has of the account

The answer is JSON on stdout. Nothing is written: databases are opened for reading only, and no lock is taken. The layout
is that of swift's documentation (Administrator Guide, "The Rings", and swift.common.utils.hash_path): a thing's directory
is named after the MD5 of prefix/account/container/object/suffix.
"""
import base64
import configparser
import glob
import hashlib
import io
import json
import os
import pickle
import sqlite3
import sys
import urllib.parse


class Plain(pickle.Unpickler):
    """Unpickles strings, numbers and containers of them; anything else is not metadata."""

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"metadata holds {module}.{name}")


def settings(path):
    parser = configparser.RawConfigParser(strict=False)
    parser.read(path, encoding="utf-8")
    return parser


def devices(config, kind):
    """Every device directory that a server of this kind is configured to use."""
    found = []
    for path in sorted(glob.glob(f"{config}/{kind}-server.conf") + glob.glob(f"{config}/{kind}-server*/*.conf")):
        root = settings(path).get("DEFAULT", "devices", fallback="/srv/node")
        found += [device for device in sorted(glob.glob(root + "/*")) if device not in found]
    return found


def hash_of(config, *names):
    chosen = settings(f"{config}/swift.conf")
    prefix = chosen.get("swift-hash", "swift_hash_path_prefix", fallback="")
    suffix = chosen.get("swift-hash", "swift_hash_path_suffix", fallback="")
    whole = prefix + "/" + "/".join(names) + suffix
    return hashlib.md5(whole.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def places(config, kind, folder, *names):
    """The directories of one thing: one per replica that this machine has."""
    name = hash_of(config, *names)
    return [place for device in devices(config, kind) for place in sorted(glob.glob(f"{device}/{folder}/*/{name[-3:]}/{name}"))]


def text(value):
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def attributes(path):
    """The metadata that an object's file carries in its extended attributes, in as many as it takes."""
    raw, part = b"", 0
    while True:
        try:
            raw += os.getxattr(path, "user.swift.metadata" + str(part or ""))
        except OSError:
            break
        part += 1
    if part == 0:
        return {"unreadable": "no extended attribute user.swift.metadata"}
    try:
        checksum = text(os.getxattr(path, "user.swift.metadata_checksum"))
    except OSError:
        checksum = None  # swift has written one since 2.15
    if checksum not in (None, hashlib.md5(raw, usedforsecurity=False).hexdigest()):
        return {"unreadable": "the metadata does not have the checksum that is kept beside it"}
    try:
        metadata = Plain(io.BytesIO(raw), encoding="bytes").load()
        return {text(key): text(value) for key, value in metadata.items()}
    except Exception as error:  # whatever pickle makes of damaged bytes
        return {"unreadable": f"{type(error).__name__}: {error}"}


def content(path):
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            whole.update(block)
    return {"size": os.path.getsize(path), "sha256": whole.hexdigest()}


def stored_object(config, account, container, name):
    found = places(config, "object", "objects*", account, container, name)
    for place in found:
        files = sorted(os.listdir(place))
        for file in files:
            if file.endswith(".data"):
                path = os.path.join(place, file)
                later = [text(other) for other in files if other.endswith(".meta")]
                return {"path": path, **content(path), "metadata": attributes(path),
                        # Metadata that was changed later is in a file of its own.
                        "later": {other: attributes(os.path.join(place, other)) for other in later}}
    hashed = hash_of(config, account, container, name)
    quarantined = [path for device in devices(config, "object") for path in glob.glob(f"{device}/quarantined/*/{hashed}*")]
    if quarantined:
        return {"missing": "swift has put it into quarantine: " + ", ".join(quarantined)}
    return {"missing": "no data file in " + (", ".join(found) or f"any directory called {hashed}")}


def rows(database, query):
    database.row_factory = sqlite3.Row
    return [dict(row) for row in database.execute(query)]


def open_database(path):
    database = sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=ro", uri=True, timeout=10)
    database.text_factory = lambda raw: text(raw)
    return database


def opened(config, kind, names, read):
    """What read makes of the database of a container or account; damage is part of the answer."""
    for place in places(config, kind, kind + "s", *names):
        for path in sorted(glob.glob(place + "/*.db")):
            answer = {"path": path}
            try:
                database = open_database(path)
                answer["integrity"] = database.execute("PRAGMA integrity_check").fetchone()[0]
                answer.update(read(database))
                database.close()
            except (sqlite3.Error, ValueError) as error:
                answer["integrity"] = f"{type(error).__name__}: {error}"
            return answer
    return {"missing": f"no database in any directory called {hash_of(config, *names)}"}


def metadata_of(row):
    """A database's metadata, kept as name -> [value, when]. An empty value is a removed one; of a key, the hash will do."""
    metadata = {name: value for name, (value, when) in json.loads(row.pop("metadata") or "{}").items() if value != ""}
    return {name: "sha256:" + hashlib.sha256(value.encode()).hexdigest() if "temp-url-key" in name.lower() else value
            for name, value in metadata.items()}


def container(database):
    info = rows(database, "SELECT account, container, created_at, put_timestamp, delete_timestamp, metadata FROM container_info")[0]
    policies = rows(database, "SELECT storage_policy_index, object_count, bytes_used FROM policy_stat ORDER BY 1")
    # The columns that Zed has: a new release may add some.
    objects = rows(database, "SELECT name AS id, created_at, size, content_type, etag, storage_policy_index FROM object"
                             " WHERE deleted = 0 ORDER BY name")
    return {"metadata": metadata_of(info), "info": info, "policies": policies, "objects": objects}


def account(database):
    info = rows(database, "SELECT account, created_at, put_timestamp, delete_timestamp, status, container_count, object_count,"
                          " bytes_used, metadata FROM account_stat")[0]
    containers = rows(database, "SELECT name AS id, put_timestamp, delete_timestamp, object_count, bytes_used, storage_policy_index"
                                " FROM container WHERE deleted = 0 ORDER BY name")
    return {"metadata": metadata_of(info), "info": info, "containers": containers}


def in_use(config, kind, name, query):
    """The databases of an account, or of containers in it, that are not marked deleted."""
    found = []
    for device in devices(config, kind):
        for path in glob.glob(f"{device}/{kind}s/*/*/*/*.db"):
            try:
                database = open_database(path)
                for row in rows(database, query):
                    if row["account"] == name and row["delete_timestamp"] <= row["put_timestamp"]:
                        found.append(path + ": " + kind + " " + row.get("container", name))
                database.close()
            except sqlite3.Error as error:
                found.append(f"{path}: {type(error).__name__}: {error}")
    return sorted(found)


def everything(config, name):
    """Whatever this machine still has of an account."""
    data = [path for device in devices(config, "object") for path in glob.glob(f"{device}/objects*/*/*/*/*.data")
            if attributes(path).get("name", "").startswith(f"/{name}/")]
    return {
        "data": sorted(data),
        "containers": in_use(config, "container", name, "SELECT account, container, put_timestamp, delete_timestamp FROM container_info"),
        "accounts": in_use(config, "account", name, "SELECT account, put_timestamp, delete_timestamp FROM account_stat"),
    }


def answer(request):
    config = request["config"]
    if not os.path.isfile(f"{config}/swift.conf"):
        return {"absent": f"there is no {config}/swift.conf"}
    if "everything" in request:
        return everything(config, request["everything"])
    name = request["account"]
    about = opened(config, "account", [name], account)
    wanted = request.get("containers", [each["id"] for each in about.get("containers", [])])
    containers = [{"id": each, **opened(config, "container", [name, each], container)} for each in wanted]
    named = [[each["id"], row["id"]] for each in containers for row in each.get("objects", [])]
    return {"account": about, "containers": containers, "objects": [
        {"container": each[0], "object": each[1], **stored_object(config, name, *each)} for each in request.get("objects", named)]}


json.dump(answer(json.loads(base64.b64decode(sys.argv[1]))), sys.stdout)
