package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Chart draws how an account's people stood, day by day, as areas that stand on
// one another. Who is invited or switched off does not count: nobody of them
// comes in.
type Chart struct {
	Days []storage.Adoption // oldest first; each holds until the next
}

// The drawing's size, in its own units.
const (
	chartWidth  = 640
	chartHeight = 160
)

// The areas, from the bottom up.
var chartAreas = []storage.Coverage{storage.CoverageEnrolled, storage.CoverageProvider, storage.CoverageMissing}

// ChartDay is a row of the table behind the drawing.
type ChartDay struct {
	Day                         string
	Enrolled, Provider, Missing int
}

// Percent is how many of a hundred have a second factor, or are vouched for.
func (d ChartDay) Percent() int {
	all := d.Enrolled + d.Provider + d.Missing
	if all == 0 {
		return 0
	}
	return 100 * (d.Enrolled + d.Provider) / all
}

func chartDay(a storage.Adoption) ChartDay {
	return ChartDay{a.Day.Format(time.DateOnly), a.Counts[storage.CoverageEnrolled], a.Counts[storage.CoverageProvider], a.Counts[storage.CoverageMissing]}
}

// Rows is the table, newest first.
func (c Chart) Rows() []ChartDay {
	var rows []ChartDay
	for _, a := range slices.Backward(c.Days) {
		rows = append(rows, chartDay(a))
	}
	return rows
}

// First and Last are the ends of the drawing.
func (c Chart) First() ChartDay { return c.end(0) }

// Last is the newest day.
func (c Chart) Last() ChartDay { return c.end(len(c.Days) - 1) }

func (c Chart) end(i int) ChartDay {
	if i < 0 || i >= len(c.Days) {
		return ChartDay{}
	}
	return chartDay(c.Days[i])
}

// Box is the drawing's coordinates.
func (c Chart) Box() string { return fmt.Sprintf("0 0 %d %d", chartWidth, chartHeight) }

// Enrolled, Provider and Missing are the areas, as the data of SVG paths.
func (c Chart) Enrolled() string { return c.area(0) }

// Provider is the second area.
func (c Chart) Provider() string { return c.area(1) }

// Missing is the third one.
func (c Chart) Missing() string { return c.area(2) }

// below is how many people stand below the top of an area; -1 is the ground.
func below(a storage.Adoption, area int) int {
	n := 0
	for _, c := range chartAreas[:area+1] {
		n += a.Counts[c]
	}
	return n
}

// area goes along the top of one area, from left to right, and back along its
// bottom. A count holds until the next one, so the line goes in steps.
func (c Chart) area(i int) string {
	if len(c.Days) == 0 {
		return ""
	}
	most := 1
	for _, a := range c.Days {
		most = max(most, below(a, len(chartAreas)-1))
	}
	first := c.Days[0].Day
	span := c.Days[len(c.Days)-1].Day.Sub(first) + 24*time.Hour // the last day is as wide as any
	type step struct{ from, to, top, bottom int }
	var steps []step
	x := func(at time.Time) int { return chartWidth * int(at.Sub(first)/time.Hour) / int(span/time.Hour) }
	y := func(people int) int { return chartHeight - chartHeight*people/most }
	for n, a := range c.Days {
		to := chartWidth
		if n+1 < len(c.Days) {
			to = x(c.Days[n+1].Day)
		}
		steps = append(steps, step{x(a.Day), to, y(below(a, i)), y(below(a, i-1))})
	}
	var d strings.Builder
	fmt.Fprintf(&d, "M0 %d", steps[0].bottom)
	for _, s := range steps {
		fmt.Fprintf(&d, "V%dH%d", s.top, s.to)
	}
	for _, s := range slices.Backward(steps) {
		fmt.Fprintf(&d, "V%dH%d", s.bottom, s.from)
	}
	return d.String() + "z"
}
