/*
 * The launcher: one background worker of the server, which sees to it that each
 * configured database has a queue worker.
 */
#ifndef SMRT_QUEUE_LAUNCHER_H
#define SMRT_QUEUE_LAUNCHER_H

/*
 * To be called while the library is loaded.  Only where the postmaster loads it
 * anything happens: shared memory is asked for, and the launcher is registered.
 */
extern void smrt_launcher_install(void);

#endif							/* SMRT_QUEUE_LAUNCHER_H */
