package awsconfig

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// KeepAnswer is for the APIOptions of a configuration: an answer that is here before the request's writer is done stays.
//
// The SDK closes a request's body as soon as the answer's head is here. net/http may still be about to look whether the body has
// ended: it asks by WriteTo where there is one, and smithy-go's, once closed, gives io.EOF as an error. net/http takes that for
// a failed write and closes the connection, under the answer; the SDK makes the call once more, and a message is on the queue
// twice. That takes a busy machine, or a server on the same one. A body that can only be read has no such end.
func KeepAnswer(stack *middleware.Stack) error {
	return stack.Build.Add(middleware.BuildMiddlewareFunc("countersign.KeepAnswer", plainBody), middleware.After)
}

func plainBody(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
	if r, ok := in.Request.(*smithyhttp.Request); ok {
		if body, ok := r.GetStream().(io.ReadSeeker); ok {
			plain, err := r.SetStream(struct{ io.ReadSeeker }{body})
			if err != nil {
				return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("preparing the request: %w", err)
			}
			in.Request = plain
		}
	}
	return next.HandleBuild(ctx, in)
}
