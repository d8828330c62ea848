/*
 * The one loop that drives every transfer of this backend.
 */
#ifndef SMRT_NET_PUMP_H
#define SMRT_NET_PUMP_H

/*
 * Drives all exchanges until one of them ends or has something to read, or
 * wait_ms passes, whichever is first; with none running it just waits.  Sleeps
 * on latch, sockets and postmaster death, and answers interrupts: it may raise
 * what CHECK_FOR_INTERRUPTS() raises.  Not to be called from under libcurl.
 */
extern void smrt_pump_run(int64 wait_ms);

/*
 * Has libcurl send what was started; waits for nothing, and reads no answer but
 * what comes up meanwhile.  Raises as above.
 */
extern void smrt_pump_send(void);

/* Waits that long, driving exchanges meanwhile; raises as above. */
extern void smrt_pump_sleep(int64 ms);

/* Milliseconds on a clock that nobody sets. */
extern int64 smrt_pump_now_ms(void);

#endif							/* SMRT_NET_PUMP_H */
