package filter

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
)

// variable is the place of a variable in [Event.values].
type variable int

const (
	varID variable = iota
	varSource
	varType
	varSubject
	varMerchant
	varTime
	varData
	variables // how many there are
)

func variableOf(name string) (variable, bool) {
	switch name {
	case "id":
		return varID, true
	case "source":
		return varSource, true
	case "type":
		return varType, true
	case "subject":
		return varSubject, true
	case "merchant":
		return varMerchant, true
	case "time":
		return varTime, true
	case "data":
		return varData, true
	}
	return 0, false
}

// language is the environment in which expressions are checked and planned. It has
// only the parts of the standard library that cannot run long.
var language = sync.OnceValue(func() *cel.Env {
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{IncludeFunctions: standard(), DisableMacros: true})),
		cel.Macros(cel.HasMacro),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(MaxDepth),
		cel.ParserErrorRecoveryLimit(1), // the first mistake is all that we report
		cel.Variable("id", cel.StringType),
		cel.Variable("source", cel.StringType),
		cel.Variable("type", cel.StringType),
		cel.Variable("subject", cel.StringType),
		cel.Variable("merchant", cel.StringType),
		cel.Variable("time", cel.TimestampType),
		cel.Variable("data", cel.DynType),
	}
	options = append(options, arithmetic()...)
	options = append(options, searches()...)
	options = append(options, conversions()...)
	e, err := cel.NewCustomEnv(options...)
	if err != nil {
		panic("filter: the language of expressions does not fit together: " + err.Error())
	}
	// The parser builds its tables on demand, so the first expression of a kind
	// takes milliseconds. No client should wait for that.
	e.Compile(`!has(data.a) || data.b[0] in [1, -2.5] && (id == "x" ? time > timestamp("") : size(type) % 2 < 1)`)
	return e
})

// standard lists the parts of the standard library that are used unchanged.
func standard() []*env.Function {
	names := []string{
		operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot,
		operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals,
		operators.Greater, operators.GreaterEquals, operators.Negate, operators.Index, operators.In,
		overloads.StartsWith, overloads.EndsWith,
	}
	var functions []*env.Function
	for _, name := range names {
		functions = append(functions, &env.Function{Name: name})
	}
	// Without the overloads that take a time zone: they read files.
	for name, ids := range map[string][]string{
		overloads.TimeGetFullYear:     {overloads.TimestampToYear},
		overloads.TimeGetMonth:        {overloads.TimestampToMonth},
		overloads.TimeGetDayOfYear:    {overloads.TimestampToDayOfYear},
		overloads.TimeGetDayOfMonth:   {overloads.TimestampToDayOfMonthZeroBased},
		overloads.TimeGetDate:         {overloads.TimestampToDayOfMonthOneBased},
		overloads.TimeGetDayOfWeek:    {overloads.TimestampToDayOfWeek},
		overloads.TimeGetHours:        {overloads.TimestampToHours, overloads.DurationToHours},
		overloads.TimeGetMinutes:      {overloads.TimestampToMinutes, overloads.DurationToMinutes},
		overloads.TimeGetSeconds:      {overloads.TimestampToSeconds, overloads.DurationToSeconds},
		overloads.TimeGetMilliseconds: {overloads.TimestampToMilliseconds, overloads.DurationToMilliseconds},
	} {
		f := &env.Function{Name: name}
		for _, id := range ids {
			f.Overloads = append(f.Overloads, &env.Overload{ID: id})
		}
		functions = append(functions, f)
	}
	return functions
}
