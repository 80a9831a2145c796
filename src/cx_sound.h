/*
 * cx_sound.h
 *	  Whether bytes from a file are an entry.
 */
#ifndef CX_SOUND_H
#define CX_SOUND_H

#include "cx_entry.h"

extern bool cx_sound_entry(const CxSlot *slot, uint32 len, CxEntry *entry);

#endif							/* CX_SOUND_H */
