package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
)

const tempest = `<testsuite errors="0" failures="1" name="" tests="3" time="9.1">
<testcase classname="tempest.api.identity.v3.test_tokens.TokensV3Test" name="test_create_token[id-1,smoke]" time="0.250"/>
<testcase classname="tempest.api.compute.servers.test_create_server" name="test_list[smoke]" time="3.5">
<failure type="testtools.testresult.real._StringException">Traceback: no valid host</failure>
</testcase>
<testcase classname="setUpClass (tempest.api.volume)" name="" time="0"><skipped>no volume service</skipped></testcase>
</testsuite>`

func TestReadTests(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "tempest.xml")
	g.Expect(os.WriteFile(path, []byte(tempest), 0o600)).To(Succeed())
	tests, err := report.ReadTests(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tests).To(Equal([]report.Test{
		{Class: "tempest.api.identity.v3.test_tokens.TokensV3Test", Name: "test_create_token[id-1,smoke]", Outcome: report.Passed, Duration: 250 * time.Millisecond},
		{Class: "tempest.api.compute.servers.test_create_server", Name: "test_list[smoke]", Outcome: report.Failed, Message: "Traceback: no valid host", Duration: 3500 * time.Millisecond},
		{Class: "setUpClass (tempest.api.volume)", Outcome: report.NotChecked, Message: "no volume service"},
	}))

	_, err = report.ReadTests(path + ".none")
	g.Expect(err).To(MatchError(os.ErrNotExist))
	g.Expect(os.WriteFile(path, []byte("<testsuite><testcase"), 0o600)).To(Succeed())
	_, err = report.ReadTests(path)
	g.Expect(err).To(MatchError(ContainSubstring(path)))
}

func TestTestsOfARowAreCasesOfTheirOwn(t *testing.T) {
	g := NewWithT(t)
	r := green()
	set(&r, "verify_base", "keystone", func(row *report.Row) {
		row.Tests = []report.Test{
			{Class: "tempest.a", Name: "ok", Outcome: report.Passed, Duration: time.Second},
			{Class: "tempest.a", Name: "bad", Outcome: report.Failed, Message: "it <broke>"},
			{Class: "tempest.b", Name: "left out", Outcome: report.NotChecked, Message: "no such service"},
		}
	})
	var b bytes.Buffer
	g.Expect(r.WriteJUnit(&b, t.TempDir())).To(Succeed())
	text := b.String()
	g.Expect(text).To(ContainSubstring(`classname="grenade.verify_base.tempest.a" name="ok" time="1.000"/>`))
	g.Expect(text).To(ContainSubstring(`<failure type="failure" message="it &lt;broke&gt;">`))
	g.Expect(text).To(ContainSubstring(`<skipped message="not checked: no such service"/>`))
	g.Expect(text).To(ContainSubstring(`tests="39" failures="1" errors="0" skipped="2"`))
}
