package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	osexec "os/exec"

	. "github.com/onsi/gomega"
)

// nasty are values that bash, ini files or patterns could spoil, with the text
// that stands for them in the file.
func nasty() []stored {
	return []stored{
		{"plain", "10.0.0.1", "10.0.0.1"},
		{"two words", "two  words", "two  words"},
		{"empty", "", ""},
		{"star", "*", "*"},
		{"quotes", `it's "so"`, `it's "so"`},
		{"leading blank", " x", `$' x'`},
		{"trailing blank", "x ", `$'x '`},
		{"tab", "a\tb", `$'a\tb'`},
		{"newlines", "a\n\nb\n", `$'a\n\nb\n'`},
		{"carriage return", "a\r", `$'a\r'`},
		{"backslash", `a\nb\\`, `a\nb\\`},
		{"backslash and newline", "a\\n\n\\", `$'a\\n\n\\'`},
		{"like our own quoting", `$'x'`, `$'$'x''`},
		{"double quoted", `"x"`, `$'"x"'`},
		{"section", "[network]", "[network]"},
		{"assignment", "a = b=c", "a = b=c"},
		{"comment", "# x ; y", "# x ; y"},
		{"expansion", "$(id) `id` ${HOME} ~ !! %s %b \\0 &", "$(id) `id` ${HOME} ~ !! %s %b \\0 &"},
		{"utf-8", "Grüße ☃", "Grüße ☃"},
		{"not utf-8", "\xff\xfe\x80", "\xff\xfe\x80"},
		{"control", "\x01\x02\x1b[0m\x7f", "\x01\x02\x1b[0m\x7f"},
		{"ampersand and newline", "a&b\n&", `$'a&b\n&'`},
	}
}

type stored struct{ name, value, stored string }

func TestStoreKeepsEveryValueByteForByte(t *testing.T) {
	for _, locale := range []string{"C", "C.UTF-8"} {
		for _, one := range nasty() {
			t.Run(locale+"/"+one.name, func(t *testing.T) {
				g := NewWithT(t)
				w := newWorld(t)
				w.write(t, filepath.Join(w.root, "value"), one.value+"x", 0o600)
				output, code := w.bash(t, `
set -euo pipefail
export LC_ALL=`+locale+`
value=$(<`+w.root+`/value); value=${value%x}
resource_save project before 1
resource_save project key "$value"
resource_save project after 2
resource_save other key 3
got=$(resource_get project key; echo x)
[[ "$got" == "$value"$'\nx' ]] || { printf 'GOT %q\n' "$got"; exit 1; }
echo $(resource_get project before)$(resource_get project after)$(resource_get other key)
[[ $- == *e*u* ]] || exit 3
`)
				g.Expect(code).To(Equal(0), output)
				g.Expect(output).To(Equal("123\n"))
				g.Expect(w.read(t, "grenade_db.ini")).To(Equal("# saved: 4\n[project]\nbefore = 1\nkey = " + one.stored + "\nafter = 2\n[other]\nkey = 3\n"))
			})
		}
	}
}

func TestStoreReadsWhatUpstreamOrAPersonWrote(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.write(t, filepath.Join(w.save, "grenade_db.ini"), "\n[nova]\nserver_ip=10.0.0.1\n\nuuid =  abc def \n# a = comment\n", 0o600)
	output, code := w.bash(t, `
resource_get nova server_ip; resource_get nova uuid
resource_save nova new value
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("10.0.0.1\nabc def\n"))
	g.Expect(w.read(t, "grenade_db.ini")).To(Equal("# saved: 1\n\n[nova]\nserver_ip=10.0.0.1\n\nuuid =  abc def \n# a = comment\nnew = value\n"))
}

func TestStoreTakesNamesLiterally(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
set -e
resource_save p id 1; resource_save p i. 2; resource_save p '*' 3; resource_save 'a b' '$x' 4; resource_save . id 5
echo $(resource_get p id) $(resource_get p i.) $(resource_get p '*') $(resource_get 'a b' '$x') $(resource_get . id) "$(resource_get p 'i')"
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("1 2 3 4 5 \n"))
}

func TestStoreSaysNothingOfWhatIsNotThere(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
set -e
resource_get p k
resource_save p k v
resource_get p other; resource_get other k; resource_get p ''; resource_get '' k
echo end
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("end\n"))
}

func TestStoreRefusesNamesThatCannotComeBack(t *testing.T) {
	for _, name := range []string{`'a=b'`, `'a]'`, `$'a\nb'`, `''`, `' a'`, `$'a\t'`, `'[a'`} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			output, _ := w.bash(t, "resource_save p "+name+" v; echo code $?; resource_save "+name+" k v; echo code $?")
			g.Expect(strings.Count(output, "code 1\n")).To(Equal(2), output)
			g.Expect(output).To(ContainSubstring("ERROR: resource_save: the key"))
			g.Expect(output).To(ContainSubstring("ERROR: resource_save: the project"))
			g.Expect(filepath.Join(w.save, "grenade_db.ini")).NotTo(BeAnExistingFile())
		})
	}
}

func TestStoreFailureEndsAScriptUnderErrexit(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, "SAVE_DIR=/nonexistent\nset -e\nresource_save p k v\necho went on\n")
	g.Expect(code).To(Equal(1))
	g.Expect(output).NotTo(ContainSubstring("went on"))
	g.Expect(output).To(ContainSubstring("cannot write the log in /nonexistent"))
}

func TestStoreSaysWhenOneProjectOverwritesWhatAnotherSaved(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
set -e
export GRENADE_PROJECT=neutron
resource_save network net_id 1
GRENADE_PROJECT=nova
resource_save network net_id 1
echo same
resource_save network other 1
resource_save network net_id 2
GRENADE_PROJECT=cinder
resource_save network net_id 3
`)
	g.Expect(code).To(Equal(0), output)
	// nova wrote it last, though with the same value.
	g.Expect(lines(output)).To(Equal([]string{
		"same",
		"WARNING: resource_save: cinder overwrites [network] net_id, which nova had saved",
	}))
}

func TestFortyParallelSavesAllSurvive(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
for i in {1..40}; do
    (export GRENADE_PROJECT=p$((i % 3)); resource_save s$((i % 4)) key$i "value $i") &
done
wait
for i in {1..40}; do [[ $(resource_get s$((i % 4)) key$i) == "value $i" ]] || echo "lost $i"; done
echo end
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("end\n"))
	g.Expect(strings.Count(w.read(t, "grenade_db.ini"), " = ")).To(Equal(40))
}

func TestKilledWritersLoseNothingThatWasSaved(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.write(t, filepath.Join(w.root, "writer.sh"), `source $GRENADE_DIR/grenaderc; source $GRENADE_DIR/functions
for ((i = 1; ; i++)); do resource_save s "$1-$i" "$i"; echo $i >>"$1.done"; done
`, 0o755)
	for round := range 8 {
		name := filepath.Join(w.root, fmt.Sprintf("w%d", round))
		writer := osexec.CommandContext(t.Context(), "bash", filepath.Join(w.root, "writer.sh"), name)
		for key, value := range w.environ() {
			writer.Env = append(writer.Env, key+"="+value)
		}
		writer.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		g.Expect(writer.Start()).To(Succeed())
		// Killed at a different moment of its work in each round.
		g.Eventually(func() string { text, _ := os.ReadFile(name + ".done"); return string(text) }, "10s", fmt.Sprintf("%dms", 1+round)).
			Should(ContainSubstring("\n5\n"))
		g.Expect(syscall.Kill(-writer.Process.Pid, syscall.SIGKILL)).To(Succeed())
		g.Expect(writer.Wait()).NotTo(Succeed())
	}
	start := time.Now()
	output, code := w.bash(t, `
set -e
resource_save s after kill
for f in *.done; do while read -r i; do
    [[ $(resource_get s "$PWD/${f%.done}-$i") == "$i" ]] || echo "lost $f $i"
done <$f; done
resource_get s after
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("kill\n"))
	g.Expect(time.Since(start)).To(BeNumerically("<", 15*time.Second))
}

func TestStoreStartsNoProcess(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
set -e
PATH=/nonexistent
resource_save p k 1; resource_save p k 2; resource_save q k $'3\n'; resource_save p l 4
resource_get p k; resource_get q k
`, "GRENADE_PROJECT=nova")
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("2\n3\n\n"))
}

func TestStoreLeavesTheCallersShellAsItWas(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
trap 'echo "ERR at $LINENO"' ERR
IFS=:; shopt -s nocasematch nullglob; set -o errtrace -o errexit -o nounset -o noglob -o noclobber -o pipefail
GRENADE_PROJECT=nova
BASH_REMATCH=() REPLY=mine lines=x
state() { set -o; shopt; trap; declare -p | grep -v -e BASH_ -e BASHPID -e ' _=' -e EPOCH -e RANDOM -e SECONDS -e PIPESTATUS -e LINENO -e FUNCNAME -e ' HIST'; }
before=$(state)
resource_save p Key 1; resource_save p key 2; resource_save "a b" '*' "x:y *"
[[ $(resource_get p Key; resource_get p key; resource_get 'A B' '*'; resource_get 'a b' '*') == $'1\n2\nx:y *' ]] || echo "names are not literal"
resource_get no such; resource_get '' ''
before=$before after=$(unset before; state)
IFS=$' \t\n'
diff <(printf '%s\n' "$before" | grep -v 'declare -- before=') <(printf '%s\n' "$after")
echo same
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("same\n"))
}

func TestWhoReadsTheFileItselfNeverSeesAPartOfIt(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
resource_save p first 1; resource_save q last 1
: >going
(for i in {1..150}; do resource_save p "key$((i % 20))" "$i"; done; rm going) &
(for i in {1..150}; do resource_save p "other$((i % 20))" "$i"; done) &
n=0
while [[ -e going ]]; do
    mapfile -t ini <"$SAVE_DIR/grenade_db.ini"
    [[ ${ini[0]} == "# saved: "* && ${ini[1]} == '[p]' && ${ini[-2]} == '[q]' && ${ini[-1]} == 'last = 1' ]] ||
        { printf 'seen: %s\n' "${ini[@]}"; break; }
    n=$((n + 1))
done
wait
((n > 10)) || echo "read only $n times"
for i in {0..19}; do [[ -n $(resource_get p key$i) && -n $(resource_get p other$i) ]] || echo lost $i; done
echo end; cat "$SAVE_DIR/grenade_db.ini" | grep -c ' = '
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("end\n42\n"))
}

func TestStoreLeavesAHistoryAlone(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
HISTTIMEFORMAT=%s
set -o history
resource_save p k 1
resource_save p k 2
set +o history
resource_get p k
HISTTIMEFORMAT= history | grep -c resource_save
ls "$SAVE_DIR"; cat "$SAVE_DIR/grenade_db.ini"
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(HavePrefix("2\n2\n"), output)
	g.Expect(output).To(HaveSuffix("grenade\ngrenade_db.ini\n# saved: 2\n[p]\nk = 2\n"))
}

// A get does not look for what only a save needs to know, and finds the same: whatever
// stands in the file, by our hand or a person's.
func TestStoreLooksUpWhatItSeeks(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
LC_ALL=C RANDOM=1
pieces=($'[a]\n' $'[b]\n' $'[ab]\n' $'k = v\n' $'kk = [a]\n' $'k = x[1\n' $'k= y\n' $'  k  =  z w \n' $'[\n' $'[]\n' $'[x\n' $'[x]y\n' $'\n' $'# k = 1\n' $'k2 = [b\n' $'[k = q]\n' $'m = a = b\n')
found=0 none=0
for ((turn = 0; turn < 1500; turn++)); do
    text=$'# saved: 0\n'
    for ((i = RANDOM % 12; i >= 0; i--)); do text+=${pieces[RANDOM % ${#pieces[@]}]}; done
    for section in a b ab; do
        for key in k kk m k2; do
            sought=none looked=none
            ! _store_seek $section $key || sought="=$REPLY"
            ! _store_look $section $key || looked="=$REPLY"
            [[ $sought == "$looked" ]] || { printf '%q: [%s] %s: seek %q, look %q\n' "$text" $section $key "$sought" "$looked"; exit 1; }
            if [[ $sought == none ]]; then none=$((none + 1)); else found=$((found + 1)); fi
        done
    done
done
((found > 500 && none > 500)) || exit 2
`)
	g.Expect(code).To(Equal(0), output)
}
