// The routes of dunlin's registry over HTTP, as far as the judge uses them, and what it needs to look into this member.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Routes that dunlin's member has not.
const (
	stateRoute    = "/debug/state"
	keysRoute     = "/debug/keys"
	imageRoute    = "/debug/image"
	transferRoute = "/debug/transfer/"
	rangeRoute    = "/debug/range/"
)

// refusal is an answer that is none of the good ones.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

func (n *node) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	ctx, cancel := context.WithTimeout(in.Context(), requestTime)
	defer cancel()
	body, err := n.answer(ctx, in)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		http.Error(out, refused.why, refused.status)
	case errors.Is(err, context.DeadlineExceeded):
		http.Error(out, err.Error(), http.StatusGatewayTimeout)
	case err != nil:
		http.Error(out, err.Error(), http.StatusServiceUnavailable)
	case body == nil:
		out.WriteHeader(http.StatusNoContent)
	default:
		out.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = out.Write(body) // Who has gone does not want it.
	}
}

// answer is a body, or none for what was done.
func (n *node) answer(ctx context.Context, in *http.Request) ([]byte, error) {
	path := in.URL.Path
	body, err := io.ReadAll(http.MaxBytesReader(nil, in.Body, valueLenMax))
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "the body cannot be read"}
	}
	switch in.Method {
	case http.MethodPut:
		return nil, n.execute(ctx, &command{put: &keyValue{key: path[1:], value: body}})
	case http.MethodGet:
		switch path {
		case stateRoute:
			return n.state()
		case keysRoute:
			return n.listed(), nil
		case imageRoute:
			n.mutex.RLock()
			defer n.mutex.RUnlock()
			return n.store.image(), nil
		}
		return n.get(ctx, path[1:], in.URL.Query().Has("stale"))
	case http.MethodPost:
		if to, ok := strings.CutPrefix(path, transferRoute); ok {
			return nil, n.transfer(ctx, to)
		}
		return nil, n.add(ctx, path[1:], strings.TrimSpace(string(body)))
	case http.MethodDelete:
		if start, ok := strings.CutPrefix(path, rangeRoute); ok {
			return nil, n.execute(ctx, &command{remove: &keyRange{start: []byte(start), end: body, hasEnd: true}})
		}
		return nil, n.remove(ctx, path[1:])
	}
	return nil, &refusal{http.StatusMethodNotAllowed, "Method not allowed"}
}

func (n *node) get(ctx context.Context, key string, isStale bool) ([]byte, error) {
	if !isStale {
		if err := n.waitReadable(ctx); err != nil {
			return nil, err
		}
	}
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	kv, ok := n.store.keys[key]
	if !ok {
		return nil, &refusal{http.StatusNotFound, "there is no such key"}
	}
	return append([]byte{}, kv.value...), nil
}

func (n *node) add(ctx context.Context, name, url string) error {
	id, err := n.changeable(name)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(url, "http://") {
		return &refusal{http.StatusBadRequest, "the body is no URL of a member"}
	}
	m := member{id: id, urls: []string{url}, wantsVote: true}
	return n.change(ctx, raftConfChange{Type: confChangeAddLearnerNode, NodeID: id, Context: m.encode()})
}

func (n *node) remove(ctx context.Context, name string) error {
	id, err := n.changeable(name)
	if err != nil {
		return err
	}
	return n.change(ctx, raftConfChange{Type: confChangeRemoveNode, NodeID: id})
}

// changeable is the id of a member that may be changed, as far as this one knows; its Raft passes a change on to the leader.
func (n *node) changeable(name string) (uint64, error) {
	id, err := strconv.ParseUint(name, 10, 64)
	if err != nil || id == 0 {
		return 0, &refusal{http.StatusBadRequest, "the path is no id of a member"}
	}
	if n.isRemoved(id) {
		return 0, &refusal{http.StatusConflict, fmt.Sprintf("member %x was removed", id)}
	}
	return id, nil
}

// transfer asks whoever leads to hand over.
func (n *node) transfer(ctx context.Context, name string) error {
	to, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return &refusal{http.StatusBadRequest, "the path ends with no id of a member"}
	}
	n.raft.TransferLeadership(ctx, n.raft.Status().Lead, to)
	return nil
}

// state is what the judge waits for.
func (n *node) state() ([]byte, error) {
	status := n.raft.Status()
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	ids := []uint64{}
	learners := []uint64{}
	for _, m := range n.store.members.sorted() {
		ids = append(ids, m.id)
		if m.isLearner {
			learners = append(learners, m.id)
		}
	}
	return json.Marshal(map[string]any{
		"leader": status.Lead, "term": status.Term, "applied": n.store.applied, "members": ids, "learners": learners,
	})
}

// listed are all keys with everything of them, a line for each.
func (n *node) listed() []byte {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	out := &bytes.Buffer{}
	for _, kv := range n.store.sorted() {
		fmt.Fprintf(out, "%s %s %d %d %d\n", kv.key, kv.value, kv.createRevision, kv.modRevision, kv.uses)
	}
	return out.Bytes()
}
