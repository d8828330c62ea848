/*
 * Answering rows of the queue that a worker has taken.
 */
#ifndef SMRT_QUEUE_QUEUEBATCH_H
#define SMRT_QUEUE_QUEUEBATCH_H

#include "queue/queuetable.h"

/*
 * Reads the inputs, asks the model and writes down what has become of each row.
 * To be called without a transaction: it has two of its own, and none while the
 * model is asked.  The current memory context is the batch's.
 *
 * An error is about the queue itself; the rows stay with the worker until their
 * lease ends.
 */
extern void smrt_queuebatch_answer(const char *table,
								   const SmrtQueueBatch *batch);

#endif							/* SMRT_QUEUE_QUEUEBATCH_H */
