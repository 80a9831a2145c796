/*
 * cx_shmem.h
 *	  The shared memory of cachex, one piece of cachex.memory bytes.
 */
#ifndef CX_SHMEM_H
#define CX_SHMEM_H

extern void cx_shmem_install_hooks(void);

#endif							/* CX_SHMEM_H */
