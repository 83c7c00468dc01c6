"""Runs many commands twice in a node, with the installed openstack and with the one that is kept loaded, and compares all that
somebody who runs them can see: stdout, stderr, exit status, the files that they leave. hack/test-openstack-cli starts it, as root.

    python3 - TREE [WORD]...     TREE: the base tree, which has openrc; WORDs: only cases whose names have one of them

Ends with 1 when anything differs, or when the server has not run what it should have run, or has run what it should not.
"""
import os
import re
import shutil
import subprocess
import sys
import time

USER = "stack"
INSTALLED = "/usr/sbin:/usr/bin:/sbin:/bin"
KEPT_LOADED = "/usr/local/sbin:/usr/local/bin:" + INSTALLED
WORK = "/tmp/compare-openstack-cli"

# What differs between two runs of the same command.
VOLATILE = [
    (r"gAAAA[\w=-]+", "TOKEN"),
    (r"\{SHA256\}[0-9a-f]{64}", "{SHA256}"),
    (r"req-[0-9a-f-]{36}", "req-ID"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|\+\d{4})?", "TIME"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "TIME"),
    (r"\b\d+\.\d{3,}\b", "SECONDS"),
    (r"(audit_ids\"?: ?\[)[^]]*", r"\1"),
    (r"object at 0x[0-9a-f]+", "object at ADDRESS"),
    (r"\bTIME \d+ (DEBUG|INFO|WARNING|ERROR)", r"TIME PID \1"),
    (r"(X-Openstack-Request-Id|Content-Length|content-length)(: | ?= ?)\S+", r"\1\2"),
]

SERVED, REFUSED, EITHER = "served", "refused", "either"

# A server that takes a request and never answers; and waiting until it has one.
SILENT = """/usr/bin/python3 -c 'import os, socket, time
server = socket.create_server(("127.0.0.1", 7999)); os.mkdir("listening"); connection = server.accept(); os.mkdir("asked")
time.sleep(600)' & silent=$!
until [[ -e listening ]]; do sleep 0.05; done
export OS_AUTH_URL=http://127.0.0.1:7999/v3
asked() { until [[ -e asked ]]; do sleep 0.05; done; }
"""

CASES = [
    # What scripts do.
    ("list as values", "openstack project list -f value -c Name", SERVED),
    ("list as json", "openstack user list --long -f json", SERVED),
    ("list as csv", "openstack endpoint list -f csv", SERVED),
    ("list as yaml", "openstack service list -f yaml", SERVED),
    ("list as a table", "openstack catalog list", SERVED),
    ("list, sorted, in a narrow terminal", "COLUMNS=40 openstack user list --long --sort-column Name", SERVED),
    ("list that fits", "CLIFF_FIT_WIDTH=1 COLUMNS=60 openstack endpoint list", SERVED),
    ("show as shell", "openstack user show admin -f shell --prefix=user_", SERVED),
    ("show one column", "openstack project show admin -f value -c id", SERVED),
    ("show as a table", "openstack token issue", SERVED),
    ("show as json", "openstack token issue -f json", SERVED),
    ("configuration", "openstack configuration show", SERVED),
    ("configuration, unmasked", "openstack configuration show --unmask -f json", SERVED),
    ("versions", "openstack versions show -f value", SERVED),
    ("extensions", "openstack extension list --identity -f json", SERVED),
    ("modules", "openstack module list --all", REFUSED),
    ("commands", "openstack command list", SERVED),
    ("commands of a group", "openstack command list --group openstack.image", SERVED),
    ("create, set, show, delete",
     "openstack project create --description 'a \"b\" é' --property k='v w' compared -f value -c name -c description;"
     " openstack project set --description two compared; openstack project show compared -f json -c description -c k;"
     " openstack project delete compared; openstack project delete compared", SERVED),
    ("or", "openstack project show nonsense -f value -c id || openstack project show admin -f value -c name", SERVED),
    ("in a substitution", "x=$(openstack project list -f value -c ID | sort | head -n 1); echo ${#x}", SERVED),
    ("in a loop that reads", "openstack project list -f value -c Name | while read -r name; do"
     " openstack project show \"$name\" -f value -c name </dev/null; done", SERVED),

    # Mistakes.
    ("no such object", "openstack project show nonsense", SERVED),
    ("no such image", "openstack image show nonsense", SERVED),
    ("no such command", "openstack nonsense", SERVED),
    ("nearly a command", "openstack projet list", SERVED),
    ("half a command", "openstack project", SERVED),
    ("no such option", "openstack project list --nonsense", SERVED),
    ("no such format", "openstack project list -f nonsense", SERVED),
    ("no such column", "openstack project list -c nonsense", SERVED),
    ("a missing argument", "openstack project show", SERVED),
    ("a service that is not there", "openstack server list", SERVED),
    ("an API that is not there", "openstack --os-identity-api-version 7 project list", SERVED),
    ("not allowed", "OS_USERNAME=demo OS_PROJECT_NAME=demo openstack user list", SERVED),

    # Ways to log in, and not to.
    ("no URL", "unset OS_AUTH_URL; openstack project list", SERVED),
    ("no password", "unset OS_PASSWORD; openstack project list </dev/null", SERVED),
    ("no password, and one on stdin", "unset OS_PASSWORD; openstack project list <<<wrong", SERVED),
    ("no user", "unset OS_USERNAME; openstack project list", SERVED),
    ("nothing", "unset ${!OS_*}; openstack project list", SERVED),
    ("a wrong password", "OS_PASSWORD=wrong openstack project list", SERVED),
    ("a wrong password as option", "openstack --os-password wrong project list", SERVED),
    ("a wrong project", "OS_PROJECT_NAME=wrong openstack project list", SERVED),
    ("a wrong region", "OS_REGION_NAME=wrong openstack image list", SERVED),
    ("a wrong interface", "OS_INTERFACE=wrong openstack image list", SERVED),
    ("another interface", "OS_INTERFACE=internal openstack image list", SERVED),
    ("nobody at the URL", "OS_AUTH_URL=http://127.0.0.1:9 openstack project list", SERVED),
    ("no such host", "OS_AUTH_URL=http://nonsense.invalid:5000 openstack project list", SERVED),
    ("a URL that is none", "OS_AUTH_URL=nonsense openstack project list", SERVED),
    ("a certificate that is not there", "OS_CACERT=/nonsense openstack project list", SERVED),
    ("a certificate that is not there, and TLS",
     "OS_CACERT=/nonsense OS_AUTH_URL=${OS_AUTH_URL/http:/https:} openstack project list", SERVED),
    ("TLS where there is none", "OS_AUTH_URL=${OS_AUTH_URL/http:/https:} openstack --insecure project list", SERVED),
    ("a proxy", "http_proxy=http://127.0.0.1:9 openstack project list", SERVED),
    ("a proxy, but not for this", "http_proxy=http://127.0.0.1:9 no_proxy='*' openstack project list -f value -c Name", SERVED),
    ("a token", "OS_TOKEN=$(openstack token issue -f value -c id) OS_AUTH_TYPE=token; export OS_TOKEN OS_AUTH_TYPE;"
     " unset OS_USERNAME OS_USER_DOMAIN_ID OS_PASSWORD; openstack project list -f value -c Name", SERVED),
    ("a token that is none", "unset OS_USERNAME OS_USER_DOMAIN_ID OS_PASSWORD;"
     " OS_TOKEN=wrong OS_AUTH_TYPE=token openstack project list", SERVED),
    ("system scope", "unset OS_PROJECT_NAME OS_PROJECT_DOMAIN_ID; OS_SYSTEM_SCOPE=all openstack role assignment list --system all -f json", SERVED),
    ("domain scope", "unset OS_PROJECT_NAME OS_PROJECT_DOMAIN_ID; OS_DOMAIN_NAME=Default openstack token issue -f json", SERVED),
    ("another user from one call to the next",
     "for u in admin demo; do OS_USERNAME=$u OS_PROJECT_NAME=$u openstack token issue -f value -c user_id -c project_id; done", SERVED),
    ("a cloud of a file here", """cat >clouds.yaml <<END
clouds: {here: {auth: {auth_url: $OS_AUTH_URL, username: demo, password: $OS_PASSWORD, project_name: demo,
  user_domain_id: default, project_domain_id: default}, region_name: RegionOne}}
END
unset ${!OS_*}; OS_CLOUD=here openstack token issue -f value -c user_id; openstack --os-cloud here image list
openstack --os-cloud elsewhere image list; mkdir sub; cd sub; OS_CLOUD=here openstack image list
OS_CLIENT_CONFIG_FILE=../clouds.yaml OS_CLOUD=here openstack token issue -f value -c project_id""", SERVED),
    ("a cloud of a file in another home", """export HOME=$PWD; mkdir -p .config/openstack; cat >.config/openstack/clouds.yaml <<END
clouds: {there: {auth: {auth_url: $OS_AUTH_URL, username: demo, password: $OS_PASSWORD, project_name: demo,
  user_domain_id: default, project_domain_id: default}, region_name: RegionOne}}
END
unset ${!OS_*}; OS_CLOUD=there openstack token issue -f value -c user_id; mkdir x; mv .config/openstack x
XDG_CONFIG_HOME=$PWD/x OS_CLOUD=there openstack token issue -f value -c user_id; OS_CLOUD=there openstack token issue""", SERVED),
    ("a file that is no YAML", "echo '{' >clouds.yaml; openstack token issue -f value -c user_id", SERVED),
    ("log settings of a file", """cat >clouds.yaml <<END
clouds: {here: {auth: {auth_url: $OS_AUTH_URL, username: demo, password: $OS_PASSWORD, project_name: demo,
  user_domain_id: default, project_domain_id: default}, log_level: info, log_file: log, logging: {keystoneauth: info}}}
END
unset ${!OS_*}; openstack --os-cloud here project show demo -f value -c name; wc -l <log; rm log clouds.yaml""", SERVED),

    # What openstack says about itself.
    ("version", "openstack --version", SERVED),
    ("help", "openstack --help", SERVED),
    ("help, short", "openstack -h", SERVED),
    ("help of a command", "openstack help project create", SERVED),
    ("help as an option", "openstack image create --help", SERVED),
    ("help for half a command", "openstack help project", SERVED),
    ("help for nonsense", "openstack help nonsense", SERVED),
    ("help in a narrow terminal", "COLUMNS=50 openstack help server create", SERVED),
    ("debug", "openstack --debug project show admin", SERVED),
    ("debug of a failure", "openstack --debug project show nonsense", SERVED),
    ("debug of a wrong option", "openstack --debug project list --nonsense", SERVED),
    ("debug without a server", "OS_AUTH_URL=http://127.0.0.1:9 openstack --debug project list", SERVED),
    ("verbose", "openstack -v image list", SERVED),
    ("very verbose", "openstack -vv image list", SERVED),
    ("quiet", "openstack -q project show nonsense", SERVED),
    ("timing", "openstack --timing project list -f value -c Name", SERVED),
    ("timing as a table", "openstack --timing project list", SERVED),
    ("a log file", "openstack --log-file log project show nonsense; sed 's/ TIME [0-9]*//' log | wc -l; rm log", SERVED),
    ("a log file that cannot be written", "openstack --log-file /nonsense/log project list", SERVED),
    ("completion", "openstack complete | cksum", REFUSED),
    ("interactive, no arguments", "echo 'project list -f value -c Name' | openstack", REFUSED),
    ("interactive, with options", "echo 'project list -f value -c Name' | openstack --os-region-name RegionOne", SERVED),

    # Streams and files.
    ("upload from stdin",
     "head -c 300000 /dev/urandom >f; openstack image create --disk-format raw --container-format bare compared <f -f value -c name;"
     " [[ $(openstack image save compared | sha256sum) == $(sha256sum <f) ]] && echo same;"
     " openstack image save --file g compared; cmp f g && echo same; openstack image show compared -f value -c size;"
     " openstack image delete compared; rm f g", SERVED),
    ("upload from a pipe", "head -c 100000 /dev/zero | openstack image create --disk-format raw --container-format bare compared -f value -c name;"
     " openstack image show compared -f value -c size -c checksum; openstack image delete compared", SERVED),
    ("upload from a file", "echo content >f; openstack image create --disk-format raw --container-format bare --file f compared"
     " -f value -c name; openstack image save compared; openstack image delete compared", SERVED),
    ("upload from a file that is not there", "openstack image create --file nonsense compared </dev/null", SERVED),
    ("upload from the middle of a file", "printf 'one\\ntwo\\n' >f; { read -r; openstack image create --disk-format raw"
     " --container-format bare compared -f value -c name; } <f; openstack image save compared; openstack image delete compared", SERVED),
    ("create without stdin", "openstack image create compared -f value -c status </dev/null; openstack image delete compared", SERVED),
    ("properties", "openstack image create --property 'k=v w' --property \"é=ü\" --tag t compared -f json -c properties -c tags </dev/null;"
     " openstack image set --property k=2 compared; openstack image show compared -f json -c properties; openstack image delete compared", SERVED),
    ("a reader that has enough", "openstack user list | head -n 1; echo \"${PIPESTATUS[@]}\"", SERVED),
    ("a reader that never reads", "openstack user list | sleep 0; echo \"${PIPESTATUS[@]}\"", SERVED),
    ("help for a reader that has enough", "openstack --help | head -n 1; echo \"${PIPESTATUS[@]}\"", SERVED),
    ("a full disk", "openstack user list >/dev/full; echo $?", SERVED),
    ("a closed stdin", "openstack project list -f value -c Name <&-", REFUSED),
    ("a closed stdout", "openstack project list -f value -c Name >&-", REFUSED),
    ("a closed stderr", "openstack project show nonsense 2>&-", REFUSED),
    ("all into one file", "openstack -v project show nonsense >f 2>&1", SERVED),
    ("a here string", "openstack project list -f value -c Name <<<text", SERVED),
    ("more descriptors", "exec 3<<<three 9>nine; openstack project list -f value -c Name; cat <&3", SERVED),
    ("tracing to a descriptor", "exec 7>trace; BASH_XTRACEFD=7; set -x; openstack project list -f value -c Name; set +x; wc -l <trace; rm trace", SERVED),

    # Who calls, and from where.
    ("in the background", "openstack project list -f value -c Name & wait $!; echo $?", SERVED),
    ("with errexit", "set -e; openstack project show nonsense; echo not reached", SERVED),
    ("another user", "sudo -u nobody env ${!OS_*} openstack project list", EITHER),
    ("another user, with the environment", "sudo -E -u nobody --preserve-env=PATH openstack project list -f value -c Name", SERVED),
    ("root", "sudo -E --preserve-env=PATH openstack project list -f value -c Name", SERVED),
    ("a directory that the user cannot read",
     "mkdir d; cd d; chmod 0 .; openstack project list -f value -c Name; echo $?; cd ..; rmdir d", SERVED),
    ("a directory that is gone", "mkdir d; cd d; rmdir ../d; openstack project list -f value -c Name", REFUSED),
    ("no home", "unset HOME; openstack project list -f value -c Name", SERVED),
    ("a home that is not there", "HOME=/nonsense openstack project list -f value -c Name", SERVED),
    ("the locale C", "LANG=C openstack project list -f value -c Name; LANG=C openstack project show é", REFUSED),
    ("the locale C for all", "LC_ALL=C openstack project list -f value -c Name; LC_ALL=C openstack project show é", REFUSED),
    ("no locale", "unset LANG; openstack project show é", REFUSED),
    ("a locale that is not there", "LC_ALL=en_US.UTF-8 openstack project show é", REFUSED),
    ("UTF-8", "openstack project show é; openstack project show $'\\xff'", SERVED),
    ("a time zone", "TZ=Asia/Tokyo openstack --log-file log project list -f value -c Name; rm log", EITHER),
    ("another network", "sudo ip netns add compared; sudo -E ip netns exec compared env PATH=$PATH openstack project list; echo $?;"
     " sudo ip netns delete compared", REFUSED),
    ("an environment of one variable", "env -i PATH=$PATH openstack project list", REFUSED),
    ("settings of Python", "PYTHONWARNINGS=default openstack --version 2>&1 | grep -c . ; PYTHONUNBUFFERED=1 openstack --version", REFUSED),
    ("limits", "ulimit -n 64; ulimit -f 0; openstack project list -f value -c Name; openstack project list >f", SERVED),
    ("few processes and a umask", "umask 077; openstack --log-file log token issue -f value -c user_id; stat -c %a log; rm log", SERVED),

    # Signals.
    ("terminated", SILENT + "openstack project list & asked; kill $!; wait $!; echo $?; kill $silent", SERVED),
    ("interrupted", SILENT + "set -m; openstack project list & asked; kill -INT $!; wait $!; echo $?; kill $silent", SERVED),
    ("hung up", SILENT + "openstack project list & asked; kill -HUP $!; wait $!; echo $?; kill $silent", SERVED),
    ("killed", SILENT + "openstack project list & asked; kill -KILL $!; wait $!; echo $?; kill $silent", SERVED),
    ("out of time", SILENT + "timeout 5 openstack project list; echo $?; kill $silent", SERVED),
    ("interrupts ignored", SILENT + "trap '' INT; openstack project list & asked; kill -INT $!; kill $!; wait $!; echo $?; kill $silent", SERVED),

    # Many.
    ("eight at once", "for i in {1..8}; do openstack project show admin -f value -c name >$i & done; wait; cat {1..8}; rm {1..8}", SERVED),
]


def journal():
    """What the server has said so far, line by line."""
    said = subprocess.run(["journalctl", "--unit=openstack-cli", "--output=cat", "--no-pager"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()


def counts():
    lines = journal()
    return {SERVED: sum(line.endswith(": served") for line in lines), REFUSED: sum(line.startswith("refused: ") for line in lines)}


def environment(tree):
    """What openrc leaves to a script of the shell contract, run as the user."""
    settled = as_user(f"cd {tree} && source ./openrc admin admin >/dev/null && env -0", "/", {
        "HOME": os.path.dirname(os.path.dirname(tree)), "USER": USER, "LOGNAME": USER, "SHELL": "/bin/bash", "LANG": "C.UTF-8", "TERM": "dumb",
    }, INSTALLED)[1]
    return {name: value for name, _, value in (entry.partition("=") for entry in settled.split("\0") if entry)
            if name not in ("_", "PWD", "OLDPWD", "SHLVL")}


def as_user(script, directory, variables, path):
    # A session of its own: no terminal, whatever this one has.
    command = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "setsid", "--wait", "bash", "-c", script]
    done = subprocess.run(command, cwd=directory, env={**variables, "PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return [done.returncode, done.stdout.decode(errors="backslashreplace"), done.stderr.decode(errors="backslashreplace")]


def steady(text):
    for pattern, instead in VOLATILE:
        text = re.sub(pattern, instead, text)
    return text.replace(KEPT_LOADED, "PATH").replace(INSTALLED, "PATH")


def outcome(script, variables, path):
    """All that there is to see of a script, and the seconds that it took."""
    shutil.rmtree(WORK, ignore_errors=True)
    os.mkdir(WORK)
    os.chmod(WORK, 0o777)
    began = time.monotonic()
    status, stdout, stderr = as_user(script, WORK, variables, path)
    took = time.monotonic() - began
    seen = {"exit status": str(status), "stdout": steady(stdout), "stderr": steady(stderr)}
    for directory, inside, files in os.walk(WORK):
        # The installed client keeps a list of its own commands below the home of whoever runs it, to start faster.
        if "python-entrypoints" in inside:
            inside.remove("python-entrypoints")
        for name in files:
            with open(os.path.join(directory, name), errors="backslashreplace") as file:
                seen[f"file {name}"] = steady(file.read())
    return seen, took


def differences(installed, kept):
    for what in sorted(installed.keys() | kept.keys()):
        one, other = (seen.get(what, "(none)").splitlines() for seen in (installed, kept))
        for number in range(max(len(one), len(other))):
            line, instead = (lines[number] if number < len(lines) else "(nothing)" for lines in (one, other))
            if line != instead:
                yield f"{what}:{number + 1}\n      installed:   {line[:300]}\n      kept loaded: {instead[:300]}"


def main():
    tree, words = sys.argv[1], sys.argv[2:]
    variables = environment(tree)
    failed, before_all, after_all, compared = [], 0.0, 0.0, 0
    for name, script, expected in CASES:
        if words and not any(word in name for word in words):
            continue
        installed, before = outcome(script, variables, INSTALLED)
        counted = counts()
        kept, after = outcome(script, variables, KEPT_LOADED)
        new = {what: number - counted[what] for what, number in counts().items()}
        found = list(differences(installed, kept))
        if expected == SERVED and (not new[SERVED] or new[REFUSED]):
            found.append(f"the server has run {new[SERVED]} of it and refused {new[REFUSED]}: {journal()[-1]}")
        if expected == REFUSED and new[SERVED]:
            found.append(f"the server has run {new[SERVED]} of it")
        print(f"{'DIFFERENT' if found else 'same':9} {before:6.2f} s {after:6.2f} s  {name}", flush=True)
        for difference in found:
            print("   ", difference, flush=True)
        compared += 1
        before_all, after_all = before_all + before, after_all + after
        if found:
            failed.append(name)
    shutil.rmtree(WORK, ignore_errors=True)
    print(f"{compared} cases, {len(failed)} different; {before_all:.0f} s with the installed openstack, {after_all:.0f} s with the one kept loaded")
    sys.exit(1 if failed or not compared else 0)


main()
