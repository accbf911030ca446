//! Blocks a thread until the writer thread has replied.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::sync::oneshot;

use super::answer::not_executed;
use super::pending::ChangeResult;

/// Wakes a parked thread.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The result of a change. Unlike `blocking_recv`, it does not panic on a thread of an asynchronous
/// runtime, where tests of users may call it; it then delays the other tasks of the thread.
pub(super) fn wait_for(mut replied: oneshot::Receiver<ChangeResult>) -> ChangeResult {
    let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut replied).poll(&mut context) {
            Poll::Ready(result) => return result.unwrap_or_else(|_| Err(not_executed())),
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_inside_an_asynchronous_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(async {
            let (reply, replied) = oneshot::channel();
            let sender = thread::spawn(move || reply.send(Ok("document".to_owned())));
            let result = wait_for(replied);
            sender.join().unwrap().unwrap();
            result
        });
        assert_eq!(result, Ok("document".to_owned()));
        let (reply, replied) = oneshot::channel::<ChangeResult>();
        drop(reply);
        assert!(wait_for(replied).is_err());
    }
}
