package streams

import "github.com/paylogic/pushserver/internal/lockorder"

// The mutexes of this package, in the order in which a goroutine takes them.
// The package's documentation says which are nested and why.
type (
	subscriptionMutex = lockorder.Mutex[subscriptionRank]
	tailMutex         = lockorder.Mutex[tailRank]
	hubMutex          = lockorder.Mutex[hubRank]
	waitlistMutex     = lockorder.Mutex[waitlistRank]
	heartbeatsMutex   = lockorder.Mutex[heartbeatsRank]
	catchupMutex      = lockorder.Mutex[catchupRank]
	tasksMutex        = lockorder.Mutex[tasksRank]
)

type (
	subscriptionRank struct{}
	tailRank         struct{}
	hubRank          struct{}
	waitlistRank     struct{}
	heartbeatsRank   struct{}
	catchupRank      struct{}
	tasksRank        struct{}
)

func (subscriptionRank) Rank() int { return 1 }
func (tailRank) Rank() int         { return 2 }
func (hubRank) Rank() int          { return 3 }
func (waitlistRank) Rank() int     { return 4 }
func (heartbeatsRank) Rank() int   { return 5 }
func (catchupRank) Rank() int      { return 6 }
func (tasksRank) Rank() int        { return 7 }
