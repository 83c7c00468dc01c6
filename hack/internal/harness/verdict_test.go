package harness

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func results(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		NewWithT(t).Expect(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)).To(Succeed())
	}
	return dir
}

func TestFirstFailedIsTheFirstThatNothingElseExplains(t *testing.T) {
	for name, test := range map[string]struct {
		rows string
		want string
	}{
		"none":        {`{"phase":"create","project":"glance","outcome":"passed"}`, ""},
		"not checked": {`{"phase":"create","project":"glance","outcome":"not checked"}`, ""},
		"in plan order": {`{"phase":"create","project":"glance","outcome":"passed"},
			{"phase":"upgrade","project":"glance","outcome":"failed"},{"phase":"destroy","project":"glance","outcome":"failed"}`, "upgrade/glance"},
		"consequences left out": {`{"phase":"upgrade","project":"nova","outcome":"failed","consequence":true},
			{"phase":"destroy","project":"glance","outcome":"failed"}`, "destroy/glance"},
		"Go's own field names": {`{"Phase":"upgrade","Project":"nova","Outcome":"failed"}`, "upgrade/nova"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			verdict, err := ReadVerdict(results(t, map[string]string{"report.json": `{"rows":[` + test.rows + `]}`}))
			g.Expect(err).NotTo(HaveOccurred())
			row, failed := verdict.FirstFailed()
			g.Expect(failed).To(Equal(test.want != ""))
			if failed {
				g.Expect(row.String()).To(Equal(test.want))
			}
		})
	}
}

func TestAReportWithoutRowsIsNoVerdict(t *testing.T) {
	_, err := ReadVerdict(results(t, map[string]string{"report.json": `{}`}))
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("has no rows")))
}

const junit = `<?xml version="1.0"?>
<testsuites><testsuite name="grenade">
  <properties><property name="base" value="zed"/></properties>
  <testcase classname="grenade.create" name="glance" time="1.5"><system-out>fine</system-out></testcase>
  <testcase classname="grenade.upgrade" name="glance"><failure message="old code">x</failure><system-out><![CDATA[said < this]]></system-out></testcase>
  <testcase classname="grenade.destroy" name="glance"><skipped message="blocked"/></testcase>
</testsuite></testsuites>`

func TestCheckJUnit(t *testing.T) {
	upgraded := Row{Phase: "upgrade", Project: "glance"}
	created := Row{Phase: "create", Project: "glance"}
	destroyed := Row{Phase: "destroy", Project: "glance"}
	for name, test := range map[string]struct {
		plan   []Row
		failed Row
		text   string
		want   string
	}{
		"all there":          {[]Row{created, upgraded, destroyed}, upgraded, "said < this", ""},
		"any output will do": {[]Row{upgraded}, upgraded, "", ""},
		"a row is missing":   {[]Row{created, {Phase: "create", Project: "nova"}}, upgraded, "", "lacks 1 of 2 planned rows: create/nova"},
		"not a failure":      {[]Row{created}, created, "", "create/glance is no failure"},
		"not there at all":   {nil, Row{Phase: "x", Project: "y"}, "", "x/y is no failure"},
		"other output":       {[]Row{upgraded}, upgraded, "marker", `the output of upgrade/glance lacks "marker"`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			err := CheckJUnit(results(t, map[string]string{"junit.xml": junit}), test.plan, test.failed, test.text)
			if test.want == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(test.want)))
			}
		})
	}
}

func TestAFailureWithoutOutputIsFoundOut(t *testing.T) {
	dir := results(t, map[string]string{"junit.xml": `<testsuite><testcase classname="grenade.upgrade" name="glance"><failure/><system-out> </system-out></testcase></testsuite>`})
	row := Row{Phase: "upgrade", Project: "glance"}
	NewWithT(t).Expect(CheckJUnit(dir, []Row{row}, row, "")).To(MatchError(ContainSubstring("the output of upgrade/glance")))
}
