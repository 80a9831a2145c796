/*
 * cx_lineage.h
 *	  The tables above a table: partitioned tables it is a partition of, and
 *	  tables it inherits from.
 */
#ifndef CX_LINEAGE_H
#define CX_LINEAGE_H

extern int	cx_lineage_above(Oid rel, const Oid **above);

#endif							/* CX_LINEAGE_H */
