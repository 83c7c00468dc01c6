package phases

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestByRow(t *testing.T) {
	g := NewWithT(t)
	b := byRow[int]{}
	g.Expect(b.of(Key{Create, "glance"})).To(BeZero())
	b.put(Key{Create, "glance"}, 1)
	b.put(Key{Leaks, "glance"}, 2)
	b.put(Key{Create, "nova"}, 3)
	b.put(Key{Create, "nova"}, 4)
	b.put(Key{SetupRow, "nova"}, 5)
	g.Expect(b.of(Key{Create, "glance"})).To(Equal(1))
	g.Expect(b.of(Key{Leaks, "glance"})).To(Equal(2))
	g.Expect(b.of(Key{Create, "nova"})).To(Equal(4))
	g.Expect(b.of(Key{VerifyBase, "glance"})).To(BeZero())
	g.Expect(b.of(Key{SetupRow, "nova"})).To(BeZero(), "no phase has that name")
}

func TestPositionIsThePlaceInTheSequence(t *testing.T) {
	g := NewWithT(t)
	g.Expect(Sequence()).To(HaveLen(phaseCount))
	for place, phase := range Sequence() {
		g.Expect(position(phase.ID)).To(Equal(place), phase.ID)
	}
	g.Expect(position(SetupRow)).To(Equal(-1))
}
