#pragma once

/// Swift's runtime calls what is stored here, if anything is, for every job that it would hand to its own threads.
extern void *swift_task_enqueueGlobal_hook;

static inline void **swift_task_enqueueGlobal_hook_address(void) { return &swift_task_enqueueGlobal_hook; }
