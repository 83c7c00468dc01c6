package report_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	. "github.com/onsi/gomega"

	"grenade/framework/log"
	"grenade/framework/report"
)

func TestExitCode(t *testing.T) {
	only := func(outcomes ...report.Outcome) report.Report {
		var rows []report.Row
		for i, o := range outcomes {
			rows = append(rows, report.Row{Phase: "verify", Project: fmt.Sprint(i), Outcome: o})
		}
		return report.Report{Rows: slices.Values(rows)}
	}
	with := func(r report.Report, code int) report.Report { r.ExitCode = code; return r }
	for name, c := range map[string]struct {
		r      report.Report
		code   int
		reason string
	}{
		"green":                       {green(), 0, ""},
		"a failure":                   {red(), 1, ""},
		"setup failed":                {setupFailed(), 1, "setup failed"},
		"passed and not checked":      {only(report.Passed, report.NotChecked), 0, ""},
		"no rows":                     {only(), 1, "nothing was checked"},
		"only not checked":            {only(report.NotChecked, report.NotChecked), 1, "nothing was checked"},
		"blocked without a failure":   {only(report.Passed, report.Blocked), 1, "the run did not come to its end"},
		"not run":                     {only(report.Passed, report.NotRun), 1, "the run did not come to its end"},
		"a row nobody touched":        {only(report.Passed, ""), 1, "the run did not come to its end"},
		"usage":                       {with(only(), report.Usage), 2, "wrong usage or configuration"},
		"environment":                 {with(setupFailed(), report.Environment), 3, "no verdict: the base cloud could not be built, or the machine lacks something"},
		"interrupted":                 {with(green(), report.Interrupted), 130, "interrupted"},
		"green as claimed but is not": {with(red(), report.Green), 1, ""},
		"red as claimed earlier":      {with(green(), report.Red), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			code, reason := report.ExitCode(c.r)
			g.Expect(code).To(Equal(c.code))
			g.Expect(reason).To(Equal(c.reason))
		})
	}
	t.Run("a failure that is only a consequence", func(t *testing.T) {
		r := only(report.Passed, report.Failed)
		set(&r, "verify", "1", func(row *report.Row) { row.Consequence = true })
		code, _ := report.ExitCode(r)
		NewWithT(t).Expect(code).To(Equal(report.Red))
	})
}

// suites is junit.xml as readers see it.
type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Suites   []struct {
		Tests      int    `xml:"tests,attr"`
		Failures   int    `xml:"failures,attr"`
		Errors     int    `xml:"errors,attr"`
		Skipped    int    `xml:"skipped,attr"`
		Time       string `xml:"time,attr"`
		Timestamp  string `xml:"timestamp,attr"`
		Properties []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"properties>property"`
		Cases []junitCase `xml:"testcase"`
	} `xml:"testsuite"`
}

type junitCase struct {
	Class   string  `xml:"classname,attr"`
	Name    string  `xml:"name,attr"`
	Time    float64 `xml:"time,attr"`
	Failure *struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	} `xml:"failure"`
	Skipped *struct {
		Message string `xml:"message,attr"`
	} `xml:"skipped"`
	Out string `xml:"system-out"`
}

// junit writes, parses and counts.
func junit(t *testing.T, r report.Report, dir string) (suites, map[string]junitCase) {
	t.Helper()
	g := NewWithT(t)
	var b bytes.Buffer
	g.Expect(r.WriteJUnit(&b, dir)).To(Succeed())
	var parsed suites
	decoder := xml.NewDecoder(&b)
	decoder.Strict = true
	g.Expect(decoder.Decode(&parsed)).To(Succeed())
	g.Expect(parsed.Suites).To(HaveLen(1))
	suite := parsed.Suites[0]
	failures, skipped := 0, 0
	cases := map[string]junitCase{}
	for _, c := range suite.Cases {
		if c.Failure != nil {
			failures++
		}
		if c.Skipped != nil {
			skipped++
		}
		g.Expect(cases).NotTo(HaveKey(c.Class + " " + c.Name))
		cases[c.Class+" "+c.Name] = c
	}
	g.Expect([]int{suite.Tests, suite.Failures, suite.Errors, suite.Skipped}).To(Equal([]int{len(suite.Cases), failures, 0, skipped}))
	g.Expect([]int{parsed.Tests, parsed.Failures, parsed.Skipped}).To(Equal([]int{len(suite.Cases), failures, skipped}))
	return parsed, cases
}

func TestJUnitOfARedRun(t *testing.T) {
	g := NewWithT(t)
	r := red()
	dir := results(t, r)
	parsed, cases := junit(t, r, dir)

	g.Expect(cases).To(HaveLen(len(held(r).Rows)), "every planned row")
	g.Expect(parsed.Suites[0].Timestamp).To(Equal("2026-01-31T12:00:00"))
	g.Expect(parsed.Suites[0].Time).To(Equal("161.000"))
	properties := map[string]string{}
	for _, p := range parsed.Suites[0].Properties {
		properties[p.Name] = p.Value
	}
	g.Expect(properties).To(And(
		HaveKeyWithValue("run", r.RunID), HaveKeyWithValue("verdict", "RED"), HaveKeyWithValue("exit_code", "1"),
		HaveKeyWithValue("base.release", "zed"), HaveKeyWithValue("base.branch", "stable/zed"), HaveKeyWithValue("base.suite", "bookworm"),
		HaveKeyWithValue("target.release", "2025.1"), HaveKeyWithValue("target.suite", "trixie"),
		HaveKeyWithValue("target.package.keystone", "2:27.0.0-3"), HaveKeyWithValue("proof_of_upgrade", "1 of 2 units")))

	failed := cases["grenade.upgrade glance"]
	g.Expect(failed.Time).To(Equal(121.3))
	g.Expect(failed.Failure.Message).To(Equal("glance-api does not answer after the upgrade"))
	g.Expect(failed.Failure.Type).To(Equal("failure"))
	g.Expect(failed.Failure.Text).To(And(
		ContainSubstring("expected: HTTP 300 from"), ContainSubstring("seen last: HTTP 503 <html><b>"),
		ContainSubstring("Could not bind to & <0.0.0.0:9292>"), ContainSubstring("full log: logs/upgrade/glance.log")))
	g.Expect(failed.Failure.Text).NotTo(ContainSubstring("\x1b"))
	g.Expect(failed.Out).To(Equal("output of upgrade/glance\n"))

	g.Expect(cases["grenade.destroy glance"].Failure.Type).To(Equal("consequence"))
	g.Expect(cases["grenade.destroy glance"].Failure.Message).To(Equal("consequence: expected image to be gone, seen last connection refused"))
	g.Expect(cases["grenade.verify_post-upgrade glance"].Skipped.Message).To(Equal("blocked: upgrade of glance failed"))
	g.Expect(cases["grenade.early_create glance"].Skipped.Message).To(Equal("not checked: resources.sh does nothing for it"))
	g.Expect(cases["grenade.create keystone"].Out).To(Equal("output of create/keystone\n"))
}

func TestJUnitWhenSetupFailed(t *testing.T) {
	g := NewWithT(t)
	r := setupFailed()
	_, cases := junit(t, r, t.TempDir())
	g.Expect(cases).To(HaveLen(len(held(r).Rows) + 1))
	g.Expect(cases["grenade.setup cloud"].Failure.Message).To(Equal("stack.sh failed"))
	for name, c := range cases {
		if name != "grenade.setup cloud" {
			g.Expect(c.Skipped).NotTo(BeNil(), name)
			g.Expect(c.Skipped.Message).To(Equal("blocked: setup failed"))
		}
	}
}

func TestJUnitOfNothing(t *testing.T) {
	_, cases := junit(t, report.Report{}, t.TempDir())
	NewWithT(t).Expect(cases).To(BeEmpty())
}

func TestJUnitTakesTheEndOfALongLog(t *testing.T) {
	g := NewWithT(t)
	r := green()
	dir := results(t, r)
	var text strings.Builder
	for i := range 40000 {
		fmt.Fprintf(&text, "line %d ü\n", i)
	}
	path := filepath.Join(dir, "logs/upgrade/glance.log")
	g.Expect(os.WriteFile(path, []byte(text.String()), 0o600)).To(Succeed())
	_, cases := junit(t, r, dir)
	out := cases["grenade.upgrade glance"].Out
	note, rest, _ := strings.Cut(out, "\n")
	var left int
	_, err := fmt.Sscanf(note, "[the first %d bytes are left out; the whole output is in logs/upgrade/glance.log]", &left)
	g.Expect(err).NotTo(HaveOccurred(), note)
	g.Expect(rest).To(Equal(text.String()[left:]), "the number is right")
	g.Expect(rest).To(HavePrefix("line "))
	g.Expect(rest).To(HaveSuffix("line 39999 ü\n"))
	g.Expect(len(rest)).To(BeNumerically("~", 64<<10, 100))

	// One endless line: cut at a character.
	g.Expect(os.WriteFile(path, []byte(strings.Repeat("ü", 50001)+"x"), 0o600)).To(Succeed())
	_, cases = junit(t, r, dir)
	out = cases["grenade.upgrade glance"].Out
	g.Expect(out).To(HaveSuffix("üüx"))
	g.Expect(out).NotTo(ContainSubstring("\ufffd"))
}

func TestJUnitSaysWhichLogCannotBeRead(t *testing.T) {
	g := NewWithT(t)
	r := green()
	set(&r, "create", "glance", func(row *report.Row) { row.Log = "../../etc/passwd" })
	set(&r, "create", "keystone", func(row *report.Row) { row.Log = "logs" })
	set(&r, "upgrade", "glance", func(row *report.Row) { row.Outcome = report.Blocked })
	dir := t.TempDir()
	g.Expect(os.Mkdir(filepath.Join(dir, "logs"), 0o750)).To(Succeed())
	_, cases := junit(t, r, dir)
	g.Expect(cases["grenade.create glance"].Out).To(ContainSubstring("is not in the results directory"))
	g.Expect(cases["grenade.create keystone"].Out).To(ContainSubstring("no regular file"))
	g.Expect(cases["grenade.create placement"].Out).To(ContainSubstring("cannot be read"))
	g.Expect(cases["grenade.upgrade glance"].Out).To(BeEmpty(), "what did not run wrote nothing")
}

// FuzzJUnit: whatever a script prints, the file is well-formed, and what XML can
// hold comes through.
func FuzzJUnit(f *testing.F) {
	for _, seed := range []string{
		"plain", "]]>", "<![CDATA[", "&amp; & <a b='\"'>", "\x00\x01\x1b[31mred\x1b[0m", "\xff\xfe broken", "a\r\nb\rc", "\ufffe\uffff",
		"\x1b[", "\x1b[31", "\x1b[\x00m", "\ud7ff\ue000\U0010ffff", "--> <?xml ?>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		failed := report.Row{Phase: "p", Project: "failed", Outcome: report.Failed, Log: "log", Failure: &report.Failure{Message: text, Expected: text, Tail: []string{text}}}
		r := report.Report{RunID: text, Rows: slices.Values([]report.Row{failed, {Phase: "p", Project: "blocked", Outcome: report.Blocked, Reason: text}})}
		if err := os.WriteFile(filepath.Join(dir, "log"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, cases := junit(t, r, dir)
		harmless := utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
			return (r < 0x20 && r != '\n' && r != '\t') || r == 0xfffe || r == 0xffff
		})
		if got := cases["grenade.p failed"].Out; harmless && got != text {
			t.Errorf("%q came out as %q", text, got)
		}
		if got := cases["grenade.p blocked"].Skipped.Message; harmless && text != "" && got != "blocked: "+text {
			t.Errorf("%q came out as %q", text, got)
		}
		summary := r.Summary()
		if n := strings.Count(summary, "\n"); n > report.SummaryLines {
			t.Errorf("summary of %d lines", n)
		}
		for _, shown := range []string{summary, report.Screen(failed)} {
			if strings.ContainsFunc(shown, func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' }) || !utf8.ValidString(shown) {
				t.Errorf("a terminal would misread %q", shown)
			}
		}
	})
}

func TestGoldens(t *testing.T) {
	for name, r := range map[string]report.Report{"green": green(), "red": red(), "setup-failed": setupFailed()} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			golden(t, name+".summary.txt", r.Summary())
			var junit, html bytes.Buffer
			g.Expect(r.WriteJUnit(&junit, results(t, r))).To(Succeed())
			golden(t, name+".junit.xml", junit.String())
			g.Expect(r.WriteHTML(&html)).To(Succeed())
			golden(t, name+".html", html.String())
		})
	}
	r := red()
	var screens strings.Builder
	for _, row := range r.Failures() {
		screens.WriteString(report.Screen(row))
	}
	golden(t, "red.screens.txt", screens.String())
}

func TestHTMLIsSelfContainedAndEscaped(t *testing.T) {
	g := NewWithT(t)
	r := red()
	r.Notes = []string{`<script>alert("x")</script>`}
	var b bytes.Buffer
	g.Expect(r.WriteHTML(&b)).To(Succeed())
	page := b.String()
	g.Expect(page).NotTo(ContainSubstring("<script"))
	g.Expect(page).To(ContainSubstring("&lt;script&gt;"))
	g.Expect(page).NotTo(MatchRegexp(`(?i)(src=|@import|url\(|<link|<iframe)`), "nothing is loaded from elsewhere")
	g.Expect(page).NotTo(MatchRegexp(`href="(https?:)?//`))
	g.Expect(page).NotTo(ContainSubstring("ZgotmplZ"), "html/template refused nothing")
	g.Expect(page).To(ContainSubstring(`href="#failure-upgrade-glance"`))
	g.Expect(page).To(ContainSubstring(`id="failure-upgrade-glance"`))
}

func TestSummaryNeverHidesAFailure(t *testing.T) {
	for _, n := range []int{0, 1, 5, 17, 18, 19, 37, 38, 39, 40, 100, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			g := NewWithT(t)
			r := green()
			rows := held(r).Rows
			for i := range n {
				rows = append(rows, report.Row{Phase: "verify", Project: fmt.Sprintf("project%04d", i), Outcome: report.Failed,
					Failure: &report.Failure{Message: strings.Repeat("long ", 100), Seen: "seen\nin lines"}})
			}
			r.Rows = slices.Values(rows)
			for i := range 60 {
				r.Notes = append(r.Notes, fmt.Sprintf("note %d", i))
			}
			summary := r.Summary()
			lines := strings.Split(strings.TrimSuffix(summary, "\n"), "\n")
			g.Expect(len(lines)).To(BeNumerically("<=", 40))
			for i := range n {
				g.Expect(summary).To(ContainSubstring(fmt.Sprintf("verify/project%04d", i)))
			}
			last := lines[len(lines)-1]
			if n == 0 {
				g.Expect(last).To(HavePrefix("grenade: GREEN exit 0  "))
			} else {
				g.Expect(last).To(HavePrefix("grenade: RED exit 1  "))
				g.Expect(last).To(ContainSubstring(fmt.Sprintf("%d failed", n)))
			}
		})
	}
}

func TestScreenFitsAScreen(t *testing.T) {
	g := NewWithT(t)
	row := report.Row{Phase: "upgrade", Project: "glance", Outcome: report.Failed, Log: "logs/upgrade/glance.log", Failure: &report.Failure{
		Expected: "a\nb", Seen: strings.Repeat("x", 5000),
	}}
	for i := range 50 {
		row.Failure.Tail = append(row.Failure.Tail, fmt.Sprintf("line %d %s\r\n", i, strings.Repeat("y", 1000)))
	}
	screen := report.Screen(row)
	g.Expect(strings.Count(screen, "\n")).To(BeNumerically("<=", 26))
	g.Expect(screen).To(And(
		ContainSubstring("upgrade  glance"), ContainSubstring("expected   a b\n"), ContainSubstring("  | line 49 "),
		ContainSubstring("full log   logs/upgrade/glance.log")))
	g.Expect(screen).NotTo(ContainSubstring("line 29 "))
	g.Expect(report.Screen(report.Row{Phase: "p", Project: "q", Outcome: report.Failed})).To(ContainSubstring("p  q"))
}

func TestWriteAll(t *testing.T) {
	g := NewWithT(t)
	r := red()
	dir := filepath.Join(results(t, r), "deeper")
	g.Expect(r.WriteAll(dir)).To(Succeed())
	g.Expect(r.WriteAll(dir)).To(Succeed(), "a second time replaces")
	entries, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o644)))
		g.Expect(info.Size()).To(BeNumerically(">", 0))
	}
	g.Expect(names).To(Equal([]string{"junit.xml", "report.html", "report.json", "summary.txt"}), "and nothing else is left")

	// One file that cannot be replaced does not keep the others from it.
	g.Expect(os.Remove(filepath.Join(dir, "junit.xml"))).To(Succeed())
	g.Expect(os.MkdirAll(filepath.Join(dir, "junit.xml", "x"), 0o750)).To(Succeed())
	g.Expect(os.Remove(filepath.Join(dir, "summary.txt"))).To(Succeed())
	g.Expect(r.WriteAll(dir)).To(MatchError(ContainSubstring("junit.xml")))
	g.Expect(filepath.Join(dir, "summary.txt")).To(BeARegularFile())
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(BeEmpty())
}

func TestSecretsAreInNoFile(t *testing.T) {
	g := NewWithT(t)
	secret := `s3cr&t"<word>`
	r := red()
	r.Redact = log.NewRedactor(secret).String
	r.Notes = []string{"note " + secret}
	timings := held(r).Timings
	timings[0].Name = secret
	r.Timings = slices.Values(timings)
	r.Plugins = []report.Plugin{{Name: "heat", URL: secret, Subject: secret}}
	r.Evidence[0].Reason = secret
	set(&r, "upgrade", "glance", func(row *report.Row) {
		row.Failure = &report.Failure{Message: secret, Expected: secret, Seen: strings.Repeat("x", 75) + secret, Tail: []string{"mysql -p" + secret}}
	})
	set(&r, "early_create", "glance", func(row *report.Row) { row.Reason = secret })
	set(&r, "verify_base", "glance", func(row *report.Row) {
		row.Tests = []report.Test{{Class: "tempest", Name: secret, Outcome: report.Failed, Message: "401 for " + secret}}
	})
	r.Setup = &report.Row{Phase: "setup", Project: "cloud", Outcome: report.Failed, Failure: &report.Failure{Message: secret}}
	dir := results(t, r)
	g.Expect(os.WriteFile(filepath.Join(dir, "logs/upgrade/glance.log"), []byte("+ mysql -p"+secret+"\n"), 0o600)).To(Succeed())
	g.Expect(r.WriteAll(dir)).To(Succeed())
	for _, name := range []string{"junit.xml", "report.html", "report.json", "summary.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(text)).NotTo(ContainSubstring("s3cr"), name)
		g.Expect(string(text)).To(ContainSubstring(log.Hidden), name)
	}
	g.Expect(held(r).Rows[0]).To(Equal(held(red()).Rows[0]))
	g.Expect(r.Notes[0]).To(ContainSubstring(secret), "the report itself is not touched")
	g.Expect(report.Screen(r.Failures()[1].Redacted(r.Redact))).NotTo(ContainSubstring("s3cr"))
}

func TestPluginsAreInEveryForm(t *testing.T) {
	g := NewWithT(t)
	r := green()
	r.Plugins = []report.Plugin{
		{Name: "heat", URL: "https://opendev.org/openstack/heat", Ref: "stable/2025.1", Dir: "/opt/stack/plugins/heat", Commit: strings.Repeat("1a2b3c4d", 5), Subject: "Fix it"},
		{Name: "mine", URL: "/home/me/mine", Dir: "/home/me/mine", Commit: strings.Repeat("ab", 20), Changed: true},
		{Name: "unpacked", URL: "/srv/x", Dir: "/srv/x"},
	}
	dir := results(t, r)
	g.Expect(r.WriteAll(dir)).To(Succeed())
	for name, want := range map[string]string{
		"summary.txt": "plugins: heat 1a2b3c4d1a2b, mine abababababab with changes, unpacked no git checkout\n",
		"junit.xml":   `<property name="plugin.mine" value="abababababab with changes"/>`,
		"report.html": `<code>1a2b3c4d1a2b</code> Fix it`,
		"report.json": `"commit": "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d"`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(text)).To(ContainSubstring(want), name)
	}
	g.Expect(report.Merge(r, green()).Plugins).To(Equal(r.Plugins))
}

func TestThePageHasTheLongestOfVeryManyParts(t *testing.T) {
	g := NewWithT(t)
	timings := []report.Timing{{Name: "stack.sh", Kind: report.StackSh, Duration: time.Second}}
	for i := range 300 {
		timings = append(timings, report.Timing{Name: fmt.Sprintf("script%03d", i), Kind: report.Script, Duration: time.Duration(i) * time.Second})
	}
	for i := range 300 {
		timings = append(timings, report.Timing{Name: fmt.Sprintf("again%03d", i), Kind: report.Script, Duration: time.Duration(i) * time.Second})
	}
	r := green()
	r.Timings = slices.Values(timings)
	var b bytes.Buffer
	g.Expect(r.WriteHTML(&b)).To(Succeed())
	page := b.String()
	g.Expect(page).To(ContainSubstring(`<summary>600 parts</summary>4m59s script299<br>4m59s again299<br>4m58s script298<br>`))
	g.Expect(page).To(ContainSubstring(`again200<br>and 400 that are shorter, 11h03m together: see report.json</details>`))
	g.Expect(page).NotTo(ContainSubstring("script199"))
	g.Expect(page).To(ContainSubstring(`<summary>1 part</summary>1.0s stack.sh<br></details>`))
}
