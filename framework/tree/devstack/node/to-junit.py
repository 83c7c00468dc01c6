"""Reads a subunit stream from stdin and writes JUnit to stdout: one case for each test, with its class, name and seconds. Runs in the
environment of the tests themselves, which has the libraries that wrote the stream."""
import sys
import xml.etree.ElementTree as ElementTree

import subunit
import testtools

suite = ElementTree.Element("testsuite", name="tempest")


def text_of(test):
    """What a test said, its traceback before all else; bytes that are no text are left out."""
    said = sorted(test["details"].items(), key=lambda item: item[0] != "traceback")
    return "\n".join(f"{name}:\n{content.as_text()}" for name, content in said if content.content_type.type == "text" and content.as_text().strip())


def case(test):
    """Adds one test. Ids end in what the test was tagged with: a.b.Class.test[id-…,smoke]."""
    if test["status"] in ("exists", "inprogress") and not test["timestamps"][0]:
        return  # only listed
    bare, bracket, tags = test["id"].partition("[")
    owner, _, name = bare.rpartition(".")
    began, ended = test["timestamps"]
    seconds = (ended - began).total_seconds() if began and ended else 0.0
    element = ElementTree.SubElement(suite, "testcase", classname=owner, name=name + bracket + tags, time=f"{seconds:.3f}")
    if test["status"] in ("success", "xfail"):
        return
    if test["status"] == "skip":
        reason = test["details"].get("reason")
        ElementTree.SubElement(element, "skipped", message=reason.as_text() if reason else "")
        return
    # fail, uxsuccess, and one that never ended.
    failure = ElementTree.SubElement(element, "failure", message=f"{test['status']}: {bare}")
    failure.text = "".join(c for c in text_of(test) if c >= " " or c in "\t\n")


result = testtools.StreamToDict(case)
result.startTestRun()
subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(result)
result.stopTestRun()
suite.set("tests", str(len(suite)))
ElementTree.ElementTree(suite).write(sys.stdout.buffer, encoding="utf-8", xml_declaration=True)
